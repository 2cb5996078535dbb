-- Archon's names over our rows: `mcp-weir db archon-views` creates these in the connection's own schema.
-- {input} and {output} are prices per token of a declared model, or null: then no cost is shown.
CREATE OR REPLACE VIEW archon_mcp_sessions AS
SELECT session_key AS session_id,
    coalesce(client_label, client_name, 'unknown')::varchar(50) AS client_type,
    client_version::varchar(50) AS client_version,
    client_capabilities,
    started_at AS connected_at,
    ended_at AS disconnected_at,
    last_seen_at AS last_activity,
    (CASE status WHEN 'ended' THEN 'disconnected' ELSE status END)::varchar(20) AS status,
    jsonb_strip_nulls(jsonb_build_object('service', service, 'era', era, 'protocol_version', protocol_version,
        'user_agent', user_agent, 'remote_addr', host(remote_addr), 'server_name', server_name,
        'server_version', server_version, 'source', source, 'confidence', round(confidence::numeric, 2))) AS metadata,
    extract(epoch FROM CASE WHEN ended_at < started_at + interval '60 years' THEN ended_at END - started_at)::int
        AS total_duration,
    (CASE end_reason WHEN 'client_delete' THEN 'client_disconnect' WHEN 'transport_closed' THEN 'client_disconnect'
        WHEN 'idle_timeout' THEN 'timeout' WHEN 'lost' THEN 'server_shutdown' ELSE end_reason END)::varchar(100)
        AS disconnect_reason,
    encode(substring(principal_key FOR 16), 'hex')::uuid AS user_id, -- of the keyed hash: the same user, the same id
    (CASE WHEN principal LIKE '%@%' THEN principal END)::varchar(255) AS user_email,
    principal::varchar(255) AS user_name
FROM weir.sessions;

-- Who gave up waiting (cancelled, left, never answered) is a `timeout`: neither a success nor the server's error.
CREATE OR REPLACE VIEW archon_mcp_requests AS
SELECT request_key AS request_id,
    session_key AS session_id,
    method::varchar(100) AS method,
    (CASE WHEN method = 'tools/call' THEN target END)::varchar(100) AS tool_name,
    least(coalesce(tokens_in, 0), 2147483647)::int AS prompt_tokens,
    least(coalesce(tokens_out, 0), 2147483647)::int AS completion_tokens,
    least(coalesce(tokens_in, 0) + coalesce(tokens_out, 0), 2147483647)::int AS total_tokens,
    (CASE WHEN coalesce(tokens_in, 0) + coalesce(tokens_out, 0) < 100000000
        THEN coalesce(tokens_in, 0) * {output}::numeric + coalesce(tokens_out, 0) * {input}::numeric END)::numeric(10, 6)
        AS estimated_cost,
    started_at AS "timestamp",
    (CASE WHEN duration_ms < 2147483647 THEN round(duration_ms) END)::int AS duration_ms,
    (CASE WHEN outcome IN ('no_answer', 'cancelled', 'client_aborted') THEN 'timeout'
        WHEN weir.is_error(outcome) THEN 'error' ELSE 'success' END)::varchar(20) AS status,
    coalesce(error_message, CASE WHEN outcome NOT IN ('ok', 'input_required') THEN outcome END) AS error_message
FROM weir.requests
WHERE direction = 'client' AND method IS NOT NULL AND outcome <> 'running';

CREATE OR REPLACE VIEW archon_mcp_session_stats AS
SELECT client_type, count(*) AS total_sessions, count(*) FILTER (WHERE status = 'active') AS active_sessions,
    count(*) FILTER (WHERE status = 'disconnected') AS disconnected_sessions,
    avg(total_duration) AS avg_duration_seconds, max(total_duration) AS max_duration_seconds,
    count(*) FILTER (WHERE disconnect_reason = 'timeout') AS timeout_disconnects,
    count(*) FILTER (WHERE disconnect_reason = 'client_disconnect') AS client_disconnects,
    count(*) FILTER (WHERE disconnect_reason = 'server_shutdown') AS server_shutdown_disconnects,
    count(*) FILTER (WHERE disconnect_reason LIKE 'error:%') AS error_disconnects
FROM archon_mcp_sessions GROUP BY client_type;

CREATE OR REPLACE FUNCTION get_active_mcp_clients() RETURNS TABLE (session_id uuid, client_type varchar,
    client_version varchar, connected_at timestamptz, last_activity timestamptz, total_duration int, status varchar,
    disconnect_reason varchar)
LANGUAGE sql STABLE AS $$
    SELECT session_id, client_type, client_version, connected_at, last_activity, total_duration, status, disconnect_reason
    FROM archon_mcp_sessions WHERE status IN ('active', 'idle') ORDER BY last_activity DESC
$$;

CREATE OR REPLACE FUNCTION get_disconnected_sessions(start_date timestamptz DEFAULT now() - interval '7 days',
    end_date timestamptz DEFAULT now()) RETURNS TABLE (session_id uuid, client_type varchar, client_version varchar,
    connected_at timestamptz, disconnected_at timestamptz, total_duration int, disconnect_reason varchar,
    total_requests bigint)
LANGUAGE sql STABLE AS $$
    SELECT a.session_id, a.client_type, a.client_version, a.connected_at, a.disconnected_at, a.total_duration,
        a.disconnect_reason, s.request_count
    FROM archon_mcp_sessions a JOIN weir.sessions s ON s.session_key = a.session_id
    WHERE a.status = 'disconnected' AND a.disconnected_at BETWEEN start_date AND end_date ORDER BY a.disconnected_at DESC
$$;

CREATE OR REPLACE FUNCTION get_user_sessions(p_user_id uuid, start_date timestamptz DEFAULT now() - interval '30 days',
    end_date timestamptz DEFAULT now()) RETURNS TABLE (session_id uuid, client_type varchar, client_version varchar,
    connected_at timestamptz, disconnected_at timestamptz, total_duration int, status varchar, disconnect_reason varchar,
    total_requests bigint)
LANGUAGE sql STABLE AS $$
    SELECT a.session_id, a.client_type, a.client_version, a.connected_at, a.disconnected_at, a.total_duration, a.status,
        a.disconnect_reason, s.request_count
    FROM archon_mcp_sessions a JOIN weir.sessions s ON s.session_key = a.session_id
    WHERE a.user_id = p_user_id AND a.connected_at BETWEEN start_date AND end_date ORDER BY a.connected_at DESC
$$;

CREATE OR REPLACE FUNCTION get_mcp_usage_summary(start_date timestamptz DEFAULT now() - interval '30 days',
    end_date timestamptz DEFAULT now()) RETURNS TABLE (total_requests bigint, total_prompt_tokens bigint,
    total_completion_tokens bigint, total_tokens bigint, total_cost numeric, unique_sessions bigint)
LANGUAGE sql STABLE AS $$
    SELECT count(*), sum(prompt_tokens), sum(completion_tokens), sum(r.total_tokens), sum(estimated_cost),
        count(DISTINCT session_id)
    FROM archon_mcp_requests r WHERE "timestamp" BETWEEN start_date AND end_date AND status = 'success'
$$;

CREATE OR REPLACE FUNCTION get_mcp_usage_by_tool(start_date timestamptz DEFAULT now() - interval '30 days',
    end_date timestamptz DEFAULT now()) RETURNS TABLE (tool_name varchar, request_count bigint, total_tokens bigint,
    total_cost numeric, avg_duration_ms numeric)
LANGUAGE sql STABLE AS $$
    SELECT r.tool_name, count(*), sum(r.total_tokens), sum(r.estimated_cost), avg(r.duration_ms)
    FROM archon_mcp_requests r
    WHERE r."timestamp" BETWEEN start_date AND end_date AND r.status = 'success' AND r.tool_name IS NOT NULL
    GROUP BY r.tool_name ORDER BY count(*) DESC
$$;
