-- The window's figures of each name of a facet, by service where `by_service` asks for it; percentiles of
-- the `top` most asked for, or of all.
WITH counted AS (
    SELECT CASE WHEN %(by_service)s THEN service END AS service, name, {_facet_sums}
    FROM {counts} AS f GROUP BY 1, 2 HAVING sum(requests) > 0
), ranked AS (
    SELECT CASE WHEN %(by_service)s THEN service END AS service, name, latency_bucket, sum(calls) AS n
    FROM {latencies} AS l
    WHERE (%(top)s::int IS NULL OR name = ANY (ARRAY(
        SELECT name FROM counted ORDER BY requests DESC, name LIMIT %(top)s)))
    GROUP BY 1, 2, 3 HAVING sum(calls) > 0
), running AS (
    SELECT service, name, latency_bucket, sum(n) OVER (PARTITION BY service, name ORDER BY latency_bucket) AS upto,
        sum(n) OVER (PARTITION BY service, name) AS total
    FROM ranked
), percentiles AS (
    SELECT service, name, {_percentiles} FROM running GROUP BY 1, 2
)
SELECT c.service, c.name, requests, calls, errors, call_errors, request_bytes, response_bytes, tokens_in, tokens_out,
    error_rate, call_error_rate, mean_ms, p50_ms, p95_ms, p99_ms
FROM counted c LEFT JOIN percentiles p ON p.name = c.name AND p.service IS NOT DISTINCT FROM c.service
