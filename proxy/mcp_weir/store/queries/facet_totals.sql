-- One window's figures from one facet, of one of its names where one is asked for.
WITH counted AS (
    SELECT {_facet_sums} FROM weir.faceted(%(facet)s, %(since)s, %(until)s) WHERE {_facet_filter}
), ranked AS (
    SELECT latency_bucket, sum(sum(calls::float8)) OVER (ORDER BY latency_bucket) AS upto, sum(sum(calls::float8)) OVER () AS total
    FROM weir.latencies(%(facet)s, %(since)s, %(until)s) WHERE {_facet_filter} GROUP BY 1
), percentiles AS (
    SELECT {_percentiles} FROM ranked
)
SELECT requests, calls, errors, call_errors, request_bytes, response_bytes, tokens_in, tokens_out, error_rate,
    call_error_rate, mean_ms, p50_ms, p95_ms, p99_ms
FROM counted, percentiles
