weir.bucket_ms(min(latency_bucket) FILTER (WHERE upto >= 0.50 * total)) AS p50_ms,
        weir.bucket_ms(min(latency_bucket) FILTER (WHERE upto >= 0.95 * total)) AS p95_ms,
        weir.bucket_ms(min(latency_bucket) FILTER (WHERE upto >= 0.99 * total)) AS p99_ms
