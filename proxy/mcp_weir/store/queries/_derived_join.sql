weir.derived_requests d ON d.request_key = f.request_key AND d.started_at = f.started_at
    AND d.started_at >= %(since)s AND d.started_at < %(until)s
