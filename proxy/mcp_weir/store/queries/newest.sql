-- The newest final rows, in time order.
WITH fresh AS (
    SELECT {_request_columns} FROM weir.request_rows r WHERE {_request_filter} ORDER BY r.started_at DESC LIMIT %(limit)s
)
SELECT f.*, d.session_key AS derived_key FROM fresh f LEFT JOIN weir.derived_requests d USING (request_key, started_at)
ORDER BY started_at, request_key
