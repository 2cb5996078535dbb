weir.request_rows r
    WHERE r.started_at >= %(since)s AND r.started_at < %(until)s AND (r.session_key = %(session)s
        OR r.request_key = ANY (ARRAY(SELECT request_key FROM weir.derived_requests WHERE session_key = %(session)s)))
