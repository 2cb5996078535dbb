-- name: newest
SELECT max(started_at) FROM weir.request_rows WHERE started_at < now() AND started_at > now() - interval '60 days';
-- name: request_rows
-- What happened a day before in (after, until], once more: the same requests of the same sessions under keys of their own.
INSERT INTO weir.request_rows (request_key, service, instance, session_key, started_at, direction, method, target,
    jsonrpc_id, outcome, http_method, http_status, error_code, error_message, duration_ms, first_byte_ms, first_event_ms,
    end_ms, client_stall_ms, overhead_us, response_kind, request_bytes, response_bytes, tokens_in, tokens_out,
    progress_count, operation_key, args_hash, flags, era, protocol_version, client_name, client_version, client_label,
    principal_key, remote_addr, user_agent, stream, connection, key_id, latency_bucket)
SELECT md5(request_key::text || %(until)s)::uuid, service, instance, md5(session_key::text || %(until)s)::uuid,
    started_at + interval '1 day', direction, method, target, jsonrpc_id, outcome, http_method, http_status, error_code,
    error_message, duration_ms, first_byte_ms, first_event_ms, end_ms, client_stall_ms, overhead_us, response_kind,
    request_bytes, response_bytes, tokens_in, tokens_out, progress_count, md5(request_key::text || %(until)s)::uuid, args_hash,
    flags, era, protocol_version, client_name, client_version, client_label, principal_key, remote_addr, user_agent, stream,
    connection, key_id, latency_bucket
FROM weir.request_rows
WHERE started_at > %(after)s::timestamptz - interval '1 day' AND started_at <= %(until)s::timestamptz - interval '1 day';
-- name: derived_requests
INSERT INTO weir.derived_requests (request_key, started_at, session_key)
SELECT md5(request_key::text || %(until)s)::uuid, started_at + interval '1 day', md5(session_key::text || %(until)s)::uuid
FROM weir.derived_requests
WHERE started_at > %(after)s::timestamptz - interval '1 day' AND started_at <= %(until)s::timestamptz - interval '1 day';
-- name: session_rows
-- Sessions of that time; one that is cut by its end goes on.
INSERT INTO weir.session_rows (session_key, service, instance, source, confidence, era, client_name, client_version,
    client_label, client_capabilities, user_agent, protocol_version, server_name, server_version, principal_key,
    remote_addr, started_at, last_seen_at, ended_at, end_reason, request_count, tool_call_count, call_count,
    error_count, request_bytes, response_bytes, tokens_in, tokens_out)
SELECT md5(session_key::text || %(until)s)::uuid, service, instance, source, confidence, era, client_name, client_version,
    client_label, client_capabilities, user_agent, protocol_version, server_name, server_version, principal_key,
    remote_addr, started_at + interval '1 day', least(last_seen_at + interval '1 day', %(until)s::timestamptz),
    CASE WHEN last_seen_at < %(until)s::timestamptz - interval '25 hours' THEN last_seen_at + interval '86401 seconds' END,
    CASE WHEN last_seen_at < %(until)s::timestamptz - interval '25 hours' THEN 'client_delete' END,
    request_count, tool_call_count, call_count, error_count, request_bytes, response_bytes, tokens_in, tokens_out
FROM weir.session_rows
WHERE last_seen_at > %(after)s::timestamptz - interval '1 day' AND started_at <= %(until)s::timestamptz - interval '1 day'
    AND started_at > %(after)s::timestamptz - interval '3 days';
-- name: stream_rows
INSERT INTO weir.stream_rows (stream_key, service, instance, session_key, kind, opened_at, closed_at, closed_by, events, bytes)
SELECT md5(stream_key::text || %(until)s)::uuid, service, instance, md5(session_key::text || %(until)s)::uuid, kind,
    opened_at + interval '1 day', closed_at + interval '1 day', closed_by, events, bytes
FROM weir.stream_rows
WHERE opened_at > %(after)s::timestamptz - interval '1 day' AND opened_at <= %(until)s::timestamptz - interval '1 day';
-- name: coverage_rows
INSERT INTO weir.coverage_rows (stream, minute, service, instance, seen, spooled, dropped, stored, quarantined)
SELECT stream, minute + interval '1 day', service, instance, seen, spooled, dropped, stored, quarantined
FROM weir.coverage_rows
WHERE minute > %(after)s::timestamptz - interval '1 day' AND minute <= %(until)s::timestamptz - interval '1 day'
ON CONFLICT DO NOTHING;
-- name: catalog_rows
UPDATE weir.catalog_rows SET last_seen = greatest(last_seen, %(until)s);
-- name: forget
-- Rollups of whole days, which are then made again.
DELETE FROM weir.{level} WHERE at >= %(day)s;
-- name: totals_of
INSERT INTO weir.total_{level}
SELECT at, service, direction = 'client' AND method = 'tools/call', outcome, latency_bucket, sum(requests), sum(duration_us),
    sum(request_bytes), sum(response_bytes), sum(tokens_in), sum(tokens_out)
FROM weir.rollup_{level} WHERE at >= %(day)s GROUP BY 1, 2, 3, 4, 5 ORDER BY 1;
-- name: errors_of
INSERT INTO weir.error_hour
SELECT date_trunc('hour', started_at, 'UTC'), service, coalesce(method, ''), coalesce(target, ''), coalesce(client_label, ''),
    outcome, coalesce(http_status, 0), coalesce(error_code, 0), weir.error_group(error_message),
    count(*), max(started_at), (array_agg(request_key ORDER BY started_at DESC))[1]
FROM weir.request_rows WHERE started_at >= %(day)s AND weir.is_error(outcome) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1;
-- name: error_days_of
SELECT weir.rebuild_error_days(%(day)s);
