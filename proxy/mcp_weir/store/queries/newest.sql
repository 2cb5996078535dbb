-- The newest final rows, in time order.
WITH fresh AS (
    SELECT {_request_columns} FROM weir.request_rows r WHERE {_request_filter} ORDER BY r.started_at DESC LIMIT %(limit)s
)
SELECT f.*, d.session_key AS derived_key FROM fresh f LEFT JOIN {_derived_join}
ORDER BY f.started_at, f.request_key
