-- Users whose sessions were alive in the window.
WITH by_client AS (
    SELECT principal_key, coalesce(client_label, client_name, '') AS client, max(principal) AS principal,
        count(*) AS sessions, sum(request_count) AS requests, sum(tool_call_count) AS calls, sum(error_count) AS errors,
        sum(tokens_in) AS tokens_in, sum(tokens_out) AS tokens_out, min(started_at) AS first, max(last_seen_at) AS last
    FROM weir.sessions
    WHERE last_seen_at >= %(since)s AND started_at < %(until)s AND principal_key IS NOT NULL
        AND (%(service)s::text IS NULL OR service = %(service)s)
        AND (%(client)s::text IS NULL OR coalesce(client_label, client_name, '') = %(client)s)
        AND (%(principal)s::text IS NULL OR principal_key = %(principal_key)s OR principal = %(principal)s)
        AND (%(like)s::text IS NULL OR encode(principal_key, 'hex') LIKE %(like)s OR principal ILIKE %(like)s)
    GROUP BY 1, 2
)
SELECT encode(principal_key, 'hex') AS principal_key, max(principal) AS principal, sum(sessions)::bigint AS sessions,
    array_agg(client ORDER BY client) AS clients, sum(requests)::bigint AS requests, sum(calls)::bigint AS calls,
    sum(errors)::bigint AS errors, sum(tokens_in)::bigint AS tokens_in, sum(tokens_out)::bigint AS tokens_out,
    min(first) AS first_seen_at, max(last) AS last_seen_at
FROM by_client GROUP BY by_client.principal_key ORDER BY requests DESC, 1 LIMIT %(limit)s
