-- Whatever holds the words in the window, at most `limit` of each kind.
(SELECT 'tool' AS kind, tool AS key, tool AS title, left(coalesce(max(description), ''), 200) AS detail, max(last_seen) AS at
FROM weir.catalog_rows
WHERE (tool ILIKE %(like)s OR description ILIKE %(like)s) AND (%(service)s::text IS NULL OR service = %(service)s)
GROUP BY tool ORDER BY tool LIMIT %(limit)s)
UNION ALL
(SELECT 'client', label, label, count(*) || ' sessions', max(last_seen_at) FROM (
    SELECT coalesce(client_label, client_name, '') AS label, last_seen_at FROM weir.sessions
    WHERE last_seen_at >= %(since)s AND started_at < %(until)s AND (%(service)s::text IS NULL OR service = %(service)s)
) s WHERE label ILIKE %(like)s GROUP BY label ORDER BY label LIMIT %(limit)s)
UNION ALL
(SELECT 'principal', encode(principal_key, 'hex'), coalesce(max(principal), left(encode(principal_key, 'hex'), 16)),
    count(*) || ' sessions', max(last_seen_at)
FROM weir.sessions
WHERE last_seen_at >= %(since)s AND started_at < %(until)s AND (%(service)s::text IS NULL OR service = %(service)s)
    AND principal_key IS NOT NULL AND (principal ILIKE %(like)s OR encode(principal_key, 'hex') LIKE %(prefix)s)
GROUP BY principal_key ORDER BY 5 DESC LIMIT %(limit)s)
UNION ALL
(SELECT 'session', session_key::text, coalesce(client_label, client_name, 'unknown client'),
    era || ', ' || request_count || ' requests', last_seen_at
FROM weir.sessions
WHERE last_seen_at >= %(since)s AND started_at < %(until)s AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (session_key::text LIKE %(prefix)s OR session_id = %(words)s OR user_agent ILIKE %(like)s
        OR server_name ILIKE %(like)s OR client_version = %(words)s)
ORDER BY last_seen_at DESC LIMIT %(limit)s)
UNION ALL
(SELECT 'request', request_key::text, coalesce(method, http_method, '') || coalesce(' ' || target, ''),
    outcome || coalesce(': ' || error_message, ''), started_at
FROM weir.request_rows
WHERE started_at >= %(since)s AND started_at < %(until)s AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (target ILIKE %(like)s OR error_message ILIKE %(like)s OR request_key = %(key)s OR trace_id = %(words)s)
ORDER BY started_at DESC LIMIT %(limit)s)
