coalesce(sum(n), 0)::bigint AS requests,
    coalesce(sum(n) FILTER (WHERE is_call), 0)::bigint AS calls,
    coalesce(sum(n) FILTER (WHERE weir.is_error(outcome)), 0)::bigint AS errors,
    coalesce(sum(n) FILTER (WHERE is_call AND weir.is_error(outcome)), 0)::bigint AS call_errors,
    (sum(us) FILTER (WHERE is_call AND latency_bucket > -128)
        / nullif(sum(n) FILTER (WHERE is_call AND latency_bucket > -128), 0) / 1000)::float8 AS mean_ms,
    coalesce(sum(bytes_in), 0)::bigint AS request_bytes,
    coalesce(sum(bytes_out), 0)::bigint AS response_bytes,
    coalesce(sum(t_in), 0)::bigint AS tokens_in,
    coalesce(sum(t_out), 0)::bigint AS tokens_out,
    coalesce((sum(n) FILTER (WHERE weir.is_error(outcome)) / nullif(sum(n), 0))::float8, 0) AS error_rate,
    coalesce((sum(n) FILTER (WHERE is_call AND weir.is_error(outcome))
        / nullif(sum(n) FILTER (WHERE is_call), 0))::float8, 0) AS call_error_rate
