-- Counts of each column over time, for sparklines; from the level whose steps are at most the bin's length.
SELECT {column} AS name, date_bin(%(bin)s, at, %(since)s) AS step, sum(requests)::bigint AS n
FROM {table}
WHERE at >= %(since)s AND at < %(until)s AND {column} = ANY(%(names)s) AND direction = 'client'
    AND {_rollup_filter}
GROUP BY 1, 2
