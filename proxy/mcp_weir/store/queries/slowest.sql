-- A tool's slowest calls of the window, by an index of each day.
WITH found AS (
    SELECT {_request_columns} FROM weir.request_rows r
    WHERE r.method = 'tools/call' AND r.target = %(tool)s AND r.duration_ms IS NOT NULL AND {_request_filter}
    ORDER BY r.duration_ms DESC LIMIT 10
)
SELECT f.*, d.session_key AS derived_key FROM found f LEFT JOIN {_derived_join}
ORDER BY duration_ms DESC
