-- Every tool that tools/list showed in the window, with what its newest version costs and the calls it got.
WITH shown AS (
    SELECT service, tool, count(*) AS versions, (array_agg(tokens ORDER BY first_seen DESC))[1] AS tokens,
        sum(times_listed)::bigint AS times_listed, min(first_seen) AS first_seen, max(last_seen) AS last_seen
    FROM weir.catalog_rows
    WHERE last_seen >= %(since)s AND first_seen < %(until)s AND (%(service)s::text IS NULL OR service = %(service)s)
    GROUP BY 1, 2
), called AS (
    SELECT service, name AS tool, sum(requests) AS n FROM {counts} AS f
    GROUP BY 1, 2
)
SELECT s.tool, s.service, s.tokens, s.times_listed, s.first_seen, s.last_seen, coalesce(c.n, 0)::bigint AS calls, s.versions
FROM shown s LEFT JOIN called c USING (service, tool) ORDER BY s.tokens DESC, s.tool
