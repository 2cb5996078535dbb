-- Counts of each column in each bin of time, for sparklines; from the level whose steps are at most the bin's length.
WITH counted AS (
    SELECT service, {column} AS name, floor((date_part('epoch', at) - %(first)s) / %(bin_s)s)::int AS bin,
        sum(requests::float8) AS n
    FROM {table}
    WHERE at >= %(start)s AND at < %(until)s AND {column} = ANY(%(names)s) AND direction = 'client' AND {_rollup_filter}
    GROUP BY 1, 2, 3
)
SELECT service, name, array_agg(bin) AS bins, array_agg(n::int8) AS counts FROM counted GROUP BY 1, 2
