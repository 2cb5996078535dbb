-- The requests of one operation: the first bears its key, the others name it.
SELECT {_request_columns} FROM weir.request_rows r WHERE request_key = %(operation)s
UNION ALL
SELECT {_request_columns} FROM weir.request_rows r WHERE operation_key = %(operation)s AND operation_key <> request_key
UNION ALL
SELECT {_request_columns} FROM weir.pending_requests r WHERE operation_key = %(operation)s
ORDER BY started_at, request_key
