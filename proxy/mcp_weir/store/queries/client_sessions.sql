-- Sessions alive in the window by client.
WITH alike AS (
    SELECT coalesce(client_label, client_name, '') AS name, client_version, era, protocol_version, count(*) AS sessions,
        count(*) FILTER (WHERE ghost) AS ghosts, max(last_seen_at) AS last_seen_at
    FROM weir.sessions
    WHERE last_seen_at >= %(since)s AND started_at < %(until)s
        AND (%(service)s::text IS NULL OR service = %(service)s)
        AND (%(client)s::text IS NULL OR coalesce(client_label, client_name, '') = %(client)s)
    GROUP BY 1, 2, 3, 4
)
SELECT name, sum(sessions)::bigint AS sessions, sum(ghosts)::bigint AS ghosts,
    array_remove(array_agg(DISTINCT client_version), NULL) AS versions, array_agg(DISTINCT era) AS eras,
    array_remove(array_agg(DISTINCT protocol_version), NULL) AS protocol_versions, max(last_seen_at) AS last_seen_at
FROM alike GROUP BY 1
