r.started_at >= %(since)s AND r.started_at < %(until)s
    AND (%(service)s::text IS NULL OR r.service = %(service)s)
    AND (%(client)s::text IS NULL OR coalesce(r.client_label, r.client_name, '') = %(client)s)
    AND (%(tool)s::text IS NULL OR (r.method = 'tools/call' AND r.direction = 'client' AND r.target = %(tool)s))
    AND (%(target)s::text IS NULL OR r.target = %(target)s)
    AND (%(method)s::text IS NULL OR r.method = %(method)s)
    AND (%(outcome)s::text IS NULL OR r.outcome = %(outcome)s)
    AND (%(direction)s::text IS NULL OR r.direction = %(direction)s)
    AND (NOT %(errors)s::bool OR weir.is_error(r.outcome))
    AND (%(principal)s::text IS NULL OR r.principal_key = %(principal_key)s OR r.principal_key IN (
        SELECT s.principal_key FROM weir.session_rows s WHERE s.principal = %(principal)s))
    AND (%(session)s::uuid IS NULL OR r.session_key = %(session)s OR r.request_key = ANY (ARRAY(
        SELECT d.request_key FROM weir.derived_requests d WHERE d.session_key = %(session)s)))
    AND (%(operation)s::uuid IS NULL OR r.operation_key = %(operation)s)
    AND (%(era)s::text IS NULL OR r.era = %(era)s)
    AND (%(protocol_version)s::text IS NULL OR r.protocol_version = %(protocol_version)s)
    AND (%(slow_ms)s::float8 IS NULL OR r.duration_ms >= %(slow_ms)s)
    AND (%(layer)s::text IS NULL OR weir.layer_of(r.outcome, r.http_status, r.error_message) = %(layer)s)
    AND (%(fault)s::text IS NULL OR weir.fault_of(r.outcome, r.http_status, r.error_code) = %(fault)s)
    AND (%(like)s::text IS NULL OR r.target ILIKE %(like)s OR r.method ILIKE %(like)s OR r.error_message ILIKE %(like)s
        OR r.client_name ILIKE %(like)s)
