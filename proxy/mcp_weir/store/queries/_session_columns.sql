s.session_key, s.service, s.instance, s.source, s.confidence, s.era, s.session_id, s.client_name, s.client_version,
    coalesce(s.client_label, s.client_name) AS client_label, s.user_agent, s.protocol_version, s.server_name,
    s.server_version, s.principal, encode(s.principal_key, 'hex') AS principal_key, host(s.remote_addr) AS remote_addr,
    s.started_at, s.last_seen_at, s.ended_at, s.status, s.end_reason, s.previous_session_key, s.request_count,
    s.tool_call_count, s.error_count, s.request_bytes, s.response_bytes, s.tokens_in, s.tokens_out,
    extract(epoch FROM greatest(coalesce(s.ended_at, s.last_seen_at), s.last_seen_at) - s.started_at)::float8 * 1000
        AS duration_ms,
    s.ghost
