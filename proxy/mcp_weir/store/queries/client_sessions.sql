-- Sessions alive in the window: alike ones by client, and, where `by` asks for it, those begun in it by era and step.
SELECT coalesce(client_label, client_name, '') AS name, client_version, era, protocol_version, {step} AS at,
    count(*) AS sessions, count(*) FILTER (WHERE ghost) AS ghosts, sum(request_count::float8)::bigint AS requests,
    count(*) FILTER (WHERE started_at >= %(since)s) AS begun, max(last_seen_at) AS last_seen_at
FROM weir.sessions
WHERE last_seen_at >= %(since)s AND started_at < %(until)s
    AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (%(client)s::text IS NULL OR coalesce(client_label, client_name, '') = %(client)s)
GROUP BY {by}
