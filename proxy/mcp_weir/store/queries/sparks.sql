-- Counts of each column over time, for sparklines; from the level whose steps are at most the bin's length.
SELECT service, {column} AS name, date_bin(%(bin)s, at, timestamptz '1970-01-01 00:00:00+00') AS step, sum(requests)::bigint AS n
FROM {table}
WHERE at >= date_bin(%(bin)s, %(since)s, timestamptz '1970-01-01 00:00:00+00') AND at < %(until)s AND {column} = ANY(%(names)s) AND direction = 'client'
    AND {_rollup_filter}
GROUP BY 1, 2, 3
