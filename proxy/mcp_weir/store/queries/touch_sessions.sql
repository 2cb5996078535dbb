-- Sessions that stand: they were heard of, and more is counted. Their rows are locked already, in key order.
UPDATE weir.session_rows s SET
    last_seen_at = greatest(s.last_seen_at, f.last_seen_at), request_count = s.request_count + f.requests,
    tool_call_count = s.tool_call_count + f.tool_calls, call_count = s.call_count + f.calls,
    error_count = s.error_count + f.errors, request_bytes = s.request_bytes + f.request_bytes,
    response_bytes = s.response_bytes + f.response_bytes, tokens_in = s.tokens_in + f.tokens_in,
    tokens_out = s.tokens_out + f.tokens_out
FROM unnest(
    %s::uuid[], %s::timestamptz[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[],
    %s::bigint[], %s::bigint[]) AS f (key, last_seen_at, requests, tool_calls, calls, errors, request_bytes,
    response_bytes, tokens_in, tokens_out)
WHERE s.session_key = f.key
