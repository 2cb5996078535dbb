-- One window's figures from one facet, of one of its names where one is asked for.
WITH counted AS (
    SELECT {_facet_sums} FROM {counts} AS f
), ranked AS (
    SELECT latency_bucket, sum(sum(calls)) OVER (ORDER BY latency_bucket) AS upto, sum(sum(calls)) OVER () AS total
    FROM {latencies} AS l GROUP BY 1 HAVING sum(calls) > 0
), percentiles AS (
    SELECT {_percentiles} FROM ranked
)
SELECT requests, calls, errors, call_errors, request_bytes, response_bytes, tokens_in, tokens_out, error_rate,
    call_error_rate, mean_ms, p50_ms, p95_ms, p99_ms
FROM counted, percentiles
