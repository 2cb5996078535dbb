-- Whose a task was whose end was told, for whoever asks to be forgotten.
ALTER TABLE weir.task_ends ADD COLUMN session_key uuid, ADD COLUMN principal_key bytea;
CREATE INDEX task_ends_session ON weir.task_ends (session_key);

-- A client may ask to end its session of a server that lets nobody do so (405): that is its end, unless it goes on.
CREATE OR REPLACE VIEW weir.sessions AS
SELECT s.service, s.instance, s.session_key, s.source, s.confidence, s.era, s.session_id, s.client_name,
    s.client_version, s.client_label, s.client_capabilities, s.user_agent, s.protocol_version, s.server_name,
    s.server_version, s.principal, s.principal_key, s.remote_addr, s.started_at, s.last_seen_at,
    CASE WHEN e.said THEN s.ended_at WHEN e.idle THEN s.last_seen_at END AS ended_at,
    CASE WHEN e.said OR e.idle THEN 'ended'
         WHEN s.last_seen_at > now() - interval '5 minutes' THEN 'active'
         ELSE 'idle' END AS status,
    CASE WHEN e.said THEN s.end_reason WHEN e.idle THEN 'idle_timeout' END AS end_reason,
    s.previous_session_key, s.request_count, s.tool_call_count, s.error_count, s.request_bytes, s.response_bytes,
    s.tokens_in, s.tokens_out, s.call_count,
    s.call_count = 0 AND (e.said OR s.last_seen_at < now() - interval '5 minutes') AS ghost,
    s.evidence, s.provisional
FROM weir.session_rows s
CROSS JOIN LATERAL (
    SELECT s.ended_at IS NOT NULL
        AND (s.end_reason = 'transport_closed' OR s.last_seen_at <= s.ended_at) AS said,
        s.last_seen_at < now() - weir.idle_window() AND NOT EXISTS (
            SELECT 1 FROM weir.stream_rows t WHERE t.session_key = s.session_key AND t.closed_at IS NULL
            AND t.closed_by IS NULL) AS idle
) e;
