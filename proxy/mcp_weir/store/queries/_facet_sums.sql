coalesce(sum(requests), 0)::bigint AS requests,
    coalesce(sum(requests) FILTER (WHERE is_call), 0)::bigint AS calls,
    coalesce(sum(requests) FILTER (WHERE weir.is_error(outcome)), 0)::bigint AS errors,
    coalesce(sum(requests) FILTER (WHERE is_call AND weir.is_error(outcome)), 0)::bigint AS call_errors,
    (sum(duration_us) FILTER (WHERE is_call) / nullif(sum(timed) FILTER (WHERE is_call), 0) / 1000)::float8 AS mean_ms,
    coalesce(sum(request_bytes), 0)::bigint AS request_bytes,
    coalesce(sum(response_bytes), 0)::bigint AS response_bytes,
    coalesce(sum(tokens_in), 0)::bigint AS tokens_in,
    coalesce(sum(tokens_out), 0)::bigint AS tokens_out,
    coalesce((sum(requests) FILTER (WHERE weir.is_error(outcome)) / nullif(sum(requests), 0))::float8, 0) AS error_rate,
    coalesce((sum(requests) FILTER (WHERE is_call AND weir.is_error(outcome))
        / nullif(sum(requests) FILTER (WHERE is_call), 0))::float8, 0) AS call_error_rate
