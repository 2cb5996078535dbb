INSERT INTO weir.rollup_{grain} AS r
SELECT * FROM unnest(
    %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::smallint[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8 -- in key order: two recorders then wait for each other and never in a circle
ON CONFLICT (at, service, direction, method, target, client, outcome, latency_bucket) DO UPDATE SET
    requests = r.requests + excluded.requests, duration_us = r.duration_us + excluded.duration_us,
    request_bytes = r.request_bytes + excluded.request_bytes,
    response_bytes = r.response_bytes + excluded.response_bytes,
    tokens_in = r.tokens_in + excluded.tokens_in, tokens_out = r.tokens_out + excluded.tokens_out
