INSERT INTO weir.total_{grain} AS r
SELECT * FROM unnest(
    %s::timestamptz[], %s::text[], %s::boolean[], %s::text[], %s::smallint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
ORDER BY 1, 2, 3, 4, 5
ON CONFLICT (at, service, is_call, outcome, latency_bucket) DO UPDATE SET
    requests = r.requests + excluded.requests, duration_us = r.duration_us + excluded.duration_us,
    request_bytes = r.request_bytes + excluded.request_bytes,
    response_bytes = r.response_bytes + excluded.response_bytes,
    tokens_in = r.tokens_in + excluded.tokens_in, tokens_out = r.tokens_out + excluded.tokens_out
