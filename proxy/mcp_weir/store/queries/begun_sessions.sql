-- Sessions that began with `initialize` since then, with what tells their clients apart.
SELECT session_key, (extract(epoch FROM identity_at) * 1e6)::bigint, service, principal_key, client_name,
    client_version, user_agent, CASE WHEN principal_key IS NULL THEN host(remote_addr) END, begun_stream,
    begun_connection
FROM weir.session_rows
WHERE source IN ('header', 'endpoint') AND service = ANY(%s) AND started_at >= %s AND started_at < %s
    AND identity_at IS NOT NULL
