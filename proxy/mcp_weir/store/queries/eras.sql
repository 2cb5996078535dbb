-- Sessions alive in the window by era, revision and client.
SELECT era, protocol_version, coalesce(client_label, client_name, '') AS name, count(*) AS sessions,
    sum(request_count)::bigint AS requests, sum(error_count)::bigint AS errors
FROM weir.sessions
WHERE last_seen_at >= %(since)s AND started_at < %(until)s
    AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (%(client)s::text IS NULL OR coalesce(client_label, client_name, '') = %(client)s)
GROUP BY 1, 2, 3 ORDER BY sessions DESC, name
