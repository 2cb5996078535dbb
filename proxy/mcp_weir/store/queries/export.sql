-- Final rows in time order, streamed: no join that would want to sort; rows of one moment by key, so that a reader can
-- go on behind any of them (a sort of those few at a time).
SELECT r.service, r.instance, r.request_key, coalesce(r.session_key,
        (SELECT d.session_key FROM weir.derived_requests d
        WHERE d.request_key = r.request_key AND d.started_at = r.started_at)) AS session_key,
    r.started_at, r.direction, r.method, r.target, r.jsonrpc_id, r.outcome, r.http_method, r.http_status, r.error_code,
    r.error_message, r.duration_ms, r.first_byte_ms, r.first_event_ms, r.end_ms, r.client_stall_ms, r.overhead_us,
    r.response_kind, r.request_bytes, r.response_bytes, r.tokens_in, r.tokens_out, r.progress_count, r.operation_key,
    r.batch_key, encode(r.args_hash, 'hex') AS args_hash, r.arguments::text AS arguments, r.result::text AS result,
    r.flags, r.trace_id, r.parent_span_id, r.era, r.protocol_version, r.client_name, r.client_version, r.client_label,
    encode(r.principal_key, 'hex') AS principal_key, host(r.remote_addr) AS remote_addr, r.user_agent
FROM weir.request_rows r
WHERE {_request_filter}
ORDER BY r.started_at, r.request_key
