-- A page of sessions alive in the window, from a cursor on in the order of sort.
SELECT {_session_columns}, {sort} AS sort_value
FROM weir.sessions s
WHERE s.last_seen_at >= %(since)s AND s.started_at < %(until)s
    AND (%(service)s::text IS NULL OR s.service = %(service)s)
    AND (%(client)s::text IS NULL OR coalesce(s.client_label, s.client_name, '') = %(client)s)
    AND (%(principal)s::text IS NULL OR s.principal_key = %(principal_key)s OR s.principal = %(principal)s)
    AND (%(status)s::text IS NULL OR s.status = %(status)s)
    AND (%(era)s::text IS NULL OR s.era = %(era)s)
    AND (%(protocol_version)s::text IS NULL OR s.protocol_version = %(protocol_version)s)
    AND (%(source)s::text IS NULL OR s.source = %(source)s)
    AND (%(end_reason)s::text IS NULL OR s.end_reason = %(end_reason)s)
    AND (%(ghosts)s::bool IS NULL OR s.ghost = %(ghosts)s)
    AND (NOT %(errors)s::bool OR s.error_count > 0)
    AND (%(session)s::uuid IS NULL OR s.session_key = %(session)s)
    AND (%(like)s::text IS NULL OR s.client_name ILIKE %(like)s OR s.client_label ILIKE %(like)s
        OR s.user_agent ILIKE %(like)s OR s.principal ILIKE %(like)s OR s.session_key::text LIKE %(like)s)
    AND {after}
ORDER BY {sort} {way}, s.session_key {way} LIMIT %(limit)s
