-- Sessions that their server did not know any more, or that a session begun within them replaced, with what tells
-- their clients apart.
SELECT s.session_key, (extract(epoch FROM e.at) * 1e6)::bigint, s.service, s.principal_key, s.client_name,
    s.client_version, s.user_agent, CASE WHEN s.principal_key IS NULL THEN host(s.remote_addr) END, e.stream, e.connection
FROM weir.session_ends e JOIN weir.session_rows s USING (session_key)
WHERE e.reason IN ('lost', 'replaced') AND e.at >= %s AND e.at < %s AND s.last_seen_at <= e.at
