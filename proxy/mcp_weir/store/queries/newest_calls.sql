-- The tool's newest calls of the window, each with its session.
SELECT coalesce(f.session_key, d.session_key) AS session_key, f.session_key IS NULL AS derived, f.started_at
FROM (
    SELECT session_key, request_key, started_at FROM weir.request_rows
    WHERE method = 'tools/call' AND target = %(tool)s AND started_at >= %(since)s AND started_at < %(until)s
        AND (%(service)s::text IS NULL OR service = %(service)s)
    ORDER BY started_at DESC LIMIT %(limit)s) f
LEFT JOIN {_derived_join}
