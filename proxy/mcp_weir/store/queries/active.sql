-- Sessions and clients active now: seen in the last five minutes and not ended.
SELECT count(*) AS sessions, count(DISTINCT coalesce(client_label, client_name, '')) AS clients
FROM weir.sessions
WHERE last_seen_at > now() - interval '5 minutes' AND status = 'active'
    AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (%(client)s::text IS NULL OR coalesce(client_label, client_name, '') = %(client)s)
