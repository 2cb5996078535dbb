SELECT {name} AS name, service, direction = 'client' AND method = 'tools/call' AS is_call, outcome,
    {sign}requests::float8 AS requests, CASE WHEN latency_bucket > -128 THEN {sign}requests::float8 ELSE 0 END AS timed,
    CASE WHEN latency_bucket > -128 THEN {sign}duration_us::float8 ELSE 0 END AS duration_us,
    {sign}request_bytes::float8 AS request_bytes, {sign}response_bytes::float8 AS response_bytes,
    {sign}tokens_in::float8 AS tokens_in, {sign}tokens_out::float8 AS tokens_out
FROM weir.rollup_minute WHERE at >= {since} AND at < {until} AND {of} AND {_span_filter}
