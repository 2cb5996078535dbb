-- Counts of each name of a facet over time, for sparklines.
SELECT service, name, date_bin(%(bin)s, at, timestamptz '1970-01-01 00:00:00+00') AS step, sum(requests)::bigint AS n
FROM {counts}
WHERE facet = %(facet)s AND name = ANY(%(names)s) AND at >= date_bin(%(bin)s, %(since)s, timestamptz '1970-01-01 00:00:00+00') AND at < %(until)s
    AND (%(service)s::text IS NULL OR service = %(service)s)
GROUP BY 1, 2, 3
