-- One window's figures; source is the narrow rollups, or the wide ones under a filter.
WITH found AS (
    SELECT is_call, outcome, latency_bucket, {_counted}
    FROM {source} GROUP BY 1, 2, 3
), ranked AS (
    SELECT latency_bucket, sum(sum(n)) OVER (ORDER BY latency_bucket) AS upto, sum(sum(n)) OVER () AS total
    FROM found WHERE is_call AND latency_bucket > -128 GROUP BY 1
)
SELECT {_sums},
    (SELECT weir.bucket_ms(min(latency_bucket)) FROM ranked WHERE upto >= 0.50 * total) AS p50_ms,
    (SELECT weir.bucket_ms(min(latency_bucket)) FROM ranked WHERE upto >= 0.95 * total) AS p95_ms,
    (SELECT weir.bucket_ms(min(latency_bucket)) FROM ranked WHERE upto >= 0.99 * total) AS p99_ms
FROM found
