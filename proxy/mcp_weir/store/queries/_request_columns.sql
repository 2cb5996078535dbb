r.request_key, r.started_at, r.service, r.instance, r.session_key, r.direction, r.method, r.target, r.jsonrpc_id,
    r.outcome, weir.is_error(r.outcome) AS is_error, weir.layer_of(r.outcome, r.http_status, r.error_message) AS layer,
    weir.fault_of(r.outcome, r.http_status, r.error_code) AS fault, r.http_method, r.http_status, r.error_code,
    r.error_message, r.duration_ms, r.first_byte_ms, r.first_event_ms, r.end_ms, r.client_stall_ms, r.overhead_us,
    r.response_kind, r.request_bytes, r.response_bytes, r.tokens_in, r.tokens_out, r.progress_count, r.operation_key,
    r.batch_key, coalesce(r.flags, '{{}}') AS flags, r.era, r.protocol_version, r.client_name, r.client_version,
    coalesce(r.client_label, r.client_name) AS client_label, encode(r.principal_key, 'hex') AS principal_key
