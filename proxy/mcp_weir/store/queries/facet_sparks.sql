-- Counts of each name of a facet in each bin of time, for sparklines.
WITH counted AS (
    SELECT service, name, floor((date_part('epoch', at) - %(first)s) / %(bin_s)s)::int AS bin, sum(requests::float8) AS n
    FROM {counts}
    WHERE facet = %(facet)s AND name = ANY(%(names)s) AND at >= %(start)s AND at < %(until)s
        AND (%(service)s::text IS NULL OR service = %(service)s)
    GROUP BY 1, 2, 3
)
SELECT service, name, array_agg(bin) AS bins, array_agg(n::int8) AS counts FROM counted GROUP BY 1, 2
