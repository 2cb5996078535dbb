-- Users whose sessions were alive in the window.
SELECT encode(principal_key, 'hex') AS principal_key, max(principal) AS principal, count(*) AS sessions,
    array_agg(DISTINCT coalesce(client_label, client_name, '')) AS clients, sum(request_count)::bigint AS requests,
    sum(tool_call_count)::bigint AS calls, sum(error_count)::bigint AS errors, sum(tokens_in)::bigint AS tokens_in,
    sum(tokens_out)::bigint AS tokens_out, min(started_at) AS first_seen_at, max(last_seen_at) AS last_seen_at
FROM weir.sessions
WHERE last_seen_at >= %(since)s AND started_at < %(until)s AND principal_key IS NOT NULL
    AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (%(client)s::text IS NULL OR coalesce(client_label, client_name, '') = %(client)s)
    AND (%(principal)s::text IS NULL OR encode(principal_key, 'hex') = %(principal)s OR principal = %(principal)s)
    AND (%(like)s::text IS NULL OR encode(principal_key, 'hex') LIKE %(like)s OR principal ILIKE %(like)s)
GROUP BY 1 ORDER BY requests DESC, 1 LIMIT %(limit)s
