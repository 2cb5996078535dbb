-- What was called just before and just after the tool's newest 100 calls, in the same session and within an hour.
WITH calls AS (
    SELECT coalesce(r.session_key, d.session_key) AS session_key, r.session_key IS NULL AS derived, r.started_at
    FROM (
        SELECT * FROM weir.request_rows
        WHERE method = 'tools/call' AND target = %(tool)s AND started_at >= %(since)s AND started_at < %(until)s
            AND (%(service)s::text IS NULL OR service = %(service)s)
        ORDER BY started_at DESC LIMIT 100) r
    LEFT JOIN weir.derived_requests d ON d.request_key = r.request_key AND d.started_at = r.started_at
), beside AS (
    SELECT 'before' AS side, b.target, b.outcome FROM calls c, LATERAL (
        SELECT r.target, r.outcome FROM weir.request_rows r
        WHERE r.session_key = c.session_key AND r.started_at < c.started_at
            AND r.started_at > c.started_at - interval '1 hour' AND r.method = 'tools/call'
        ORDER BY r.started_at DESC LIMIT 1) b
    WHERE NOT c.derived
    UNION ALL
    SELECT 'after', a.target, a.outcome FROM calls c, LATERAL (
        SELECT r.target, r.outcome FROM weir.request_rows r
        WHERE r.session_key = c.session_key AND r.started_at > c.started_at
            AND r.started_at < c.started_at + interval '1 hour' AND r.method = 'tools/call'
        ORDER BY r.started_at LIMIT 1) a
    WHERE NOT c.derived
    UNION ALL
    SELECT 'before', b.target, b.outcome FROM calls c, LATERAL (
        SELECT r.target, r.outcome FROM weir.derived_requests d
            JOIN weir.request_rows r ON r.request_key = d.request_key AND r.started_at = d.started_at
        WHERE d.session_key = c.session_key AND d.started_at < c.started_at
            AND d.started_at > c.started_at - interval '1 hour' AND r.method = 'tools/call'
        ORDER BY d.started_at DESC LIMIT 1) b
    WHERE c.derived
    UNION ALL
    SELECT 'after', a.target, a.outcome FROM calls c, LATERAL (
        SELECT r.target, r.outcome FROM weir.derived_requests d
            JOIN weir.request_rows r ON r.request_key = d.request_key AND r.started_at = d.started_at
        WHERE d.session_key = c.session_key AND d.started_at > c.started_at
            AND d.started_at < c.started_at + interval '1 hour' AND r.method = 'tools/call'
        ORDER BY d.started_at LIMIT 1) a
    WHERE c.derived
)
SELECT side, target AS name, count(*) AS count, count(*) FILTER (WHERE weir.is_error(outcome)) AS errors
FROM beside GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
