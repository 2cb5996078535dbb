-- A tool's versions, newest first, each with the window's calls while it was the newest (to the hour).
WITH shown AS (
    SELECT *, lead(first_seen) OVER (PARTITION BY service, tool ORDER BY first_seen, content_hash) AS following
    FROM weir.catalog_rows
    WHERE tool = %(tool)s AND (%(service)s::text IS NULL OR service = %(service)s)
), called AS (
    SELECT service, at, outcome, sum(requests) AS n FROM weir.facet_hour
    WHERE facet = 'tool' AND name = %(tool)s AND at >= %(since)s AND at < %(until)s
    GROUP BY 1, 2, 3
)
SELECT s.tool, s.service, encode(s.content_hash, 'hex') AS content_hash, encode(s.schema_hash, 'hex') AS schema_hash,
    s.description, s.tokens, s.first_seen, s.last_seen, s.times_listed, coalesce(sum(c.n), 0)::bigint AS calls,
    coalesce(sum(c.n) FILTER (WHERE weir.is_error(c.outcome)), 0)::bigint AS errors
FROM shown s LEFT JOIN called c ON c.service = s.service AND c.at >= date_trunc('hour', s.first_seen)
    AND (s.following IS NULL OR c.at < date_trunc('hour', s.following))
GROUP BY s.tool, s.service, s.content_hash, s.schema_hash, s.description, s.tokens, s.first_seen, s.last_seen,
    s.times_listed
ORDER BY s.first_seen DESC
