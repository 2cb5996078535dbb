-- Sessions alive in the window by client.
SELECT coalesce(client_label, client_name, '') AS name, count(*) AS sessions,
    count(*) FILTER (WHERE ghost) AS ghosts,
    array_remove(array_agg(DISTINCT client_version), NULL) AS versions, array_agg(DISTINCT era) AS eras,
    array_remove(array_agg(DISTINCT protocol_version), NULL) AS protocol_versions, max(last_seen_at) AS last_seen_at
FROM weir.sessions
WHERE last_seen_at >= %(since)s AND started_at < %(until)s
    AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (%(client)s::text IS NULL OR coalesce(client_label, client_name, '') = %(client)s)
GROUP BY 1
