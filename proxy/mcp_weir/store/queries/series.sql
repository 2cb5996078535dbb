-- Steps of table, the rollup level at or below the grain; the first step may begin before the window.
WITH found AS (
    SELECT date_bin(%(grain)s, at, timestamptz '1970-01-01 00:00:00+00') AS step, is_call, outcome, latency_bucket,
        sum(requests::float8) AS n, sum(tokens_in::float8) AS t_in, sum(tokens_out::float8) AS t_out
    FROM {table}
    WHERE at >= date_bin(%(grain)s, %(since)s, timestamptz '1970-01-01 00:00:00+00') AND at < %(until)s AND {filter}
    GROUP BY 1, 2, 3, 4
), ranked AS (
    SELECT step, latency_bucket, sum(sum(n)) OVER (PARTITION BY step ORDER BY latency_bucket) AS upto,
        sum(sum(n)) OVER (PARTITION BY step) AS total
    FROM found WHERE is_call AND latency_bucket > -128 GROUP BY 1, 2
), percentiles AS (
    SELECT step, {_percentiles}
    FROM ranked GROUP BY 1
), counted AS (
    SELECT step, sum(n) AS requests, sum(n) FILTER (WHERE is_call) AS calls,
        sum(n) FILTER (WHERE weir.is_error(outcome)) AS errors, sum(t_in) AS tokens_in, sum(t_out) AS tokens_out
    FROM found GROUP BY 1
)
SELECT step AS at, requests::bigint, coalesce(calls, 0)::bigint AS calls, coalesce(errors, 0)::bigint AS errors,
    p50_ms, p95_ms, p99_ms, tokens_in::bigint, tokens_out::bigint
FROM counted LEFT JOIN percentiles USING (step) ORDER BY step
