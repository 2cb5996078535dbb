-- Counts of each name of a facet over time, for sparklines.
SELECT name, date_bin(%(bin)s, at, %(since)s) AS step, sum(requests)::bigint AS n
FROM {counts}
WHERE facet = %(facet)s AND name = ANY(%(names)s) AND at >= %(since)s AND at < %(until)s
    AND (%(service)s::text IS NULL OR service = %(service)s)
GROUP BY 1, 2
