-- One request whole.
WITH found AS (
    SELECT {_request_columns}, encode(args_hash, 'hex') AS args_hash, arguments::text, result::text, trace_id,
        parent_span_id, host(remote_addr) AS remote_addr, user_agent
    FROM weir.request_rows r WHERE request_key = %(key)s
    UNION ALL
    SELECT {_request_columns}, encode(args_hash, 'hex'), arguments::text, result::text, trace_id, parent_span_id,
        host(remote_addr), user_agent
    FROM weir.pending_requests r WHERE request_key = %(key)s
)
SELECT f.*, d.session_key AS derived_key FROM found f LEFT JOIN weir.derived_requests d USING (request_key, started_at)
