-- What the judge compares, of one service: every row, the failed exchanges without a request included.
SELECT request_key, session_key, parent_span_id, direction, method, target, jsonrpc_id, outcome, era, http_method,
    http_status
FROM weir.requests WHERE service = %s;
