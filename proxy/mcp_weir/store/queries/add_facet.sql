INSERT INTO weir.facet_{grain} AS r
SELECT * FROM unnest(
    %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::boolean[], %s::text[],
    %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[])
ORDER BY 1, 3, 2, 4, 5, 6
ON CONFLICT (facet, at, name, service, is_call, outcome) DO UPDATE SET
    requests = r.requests + excluded.requests, timed = r.timed + excluded.timed,
    duration_us = r.duration_us + excluded.duration_us, request_bytes = r.request_bytes + excluded.request_bytes,
    response_bytes = r.response_bytes + excluded.response_bytes,
    tokens_in = r.tokens_in + excluded.tokens_in, tokens_out = r.tokens_out + excluded.tokens_out
