-- A tool's slowest calls of the window, by an index of each day.
WITH found AS (
    SELECT {_request_columns} FROM weir.request_rows r
    WHERE r.method = 'tools/call' AND r.target = %(tool)s AND r.duration_ms IS NOT NULL AND {_request_filter}
    ORDER BY r.duration_ms DESC LIMIT 10
)
SELECT f.*, d.session_key AS derived_key FROM found f LEFT JOIN weir.derived_requests d USING (request_key, started_at)
ORDER BY duration_ms DESC
