-- How many sessions were alive in the window, and how many of them called nothing.
SELECT count(*) AS sessions, count(*) FILTER (WHERE ghost) AS ghosts
FROM weir.sessions
WHERE last_seen_at >= %(since)s AND started_at < %(until)s
    AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (%(client)s::text IS NULL OR coalesce(client_label, client_name, '') = %(client)s)
