-- What was called just before and just after the tool's newest 200 calls, in the same session and within an hour.
WITH calls AS (
    SELECT r.request_key, r.session_key, r.started_at FROM weir.request_rows r
    WHERE r.method = 'tools/call' AND r.target = %(tool)s AND r.started_at >= %(since)s AND r.started_at < %(until)s
        AND r.session_key IS NOT NULL AND (%(service)s::text IS NULL OR r.service = %(service)s)
    ORDER BY r.started_at DESC LIMIT 200
), beside AS (
    SELECT 'before' AS side, b.target, b.outcome FROM calls c, LATERAL (
        SELECT r.target, r.outcome FROM weir.request_rows r
        WHERE r.session_key = c.session_key AND r.started_at < c.started_at
            AND r.started_at > c.started_at - interval '1 hour' AND r.method = 'tools/call'
        ORDER BY r.started_at DESC LIMIT 1) b
    UNION ALL
    SELECT 'after', a.target, a.outcome FROM calls c, LATERAL (
        SELECT r.target, r.outcome FROM weir.request_rows r
        WHERE r.session_key = c.session_key AND r.started_at > c.started_at
            AND r.started_at < c.started_at + interval '1 hour' AND r.method = 'tools/call'
        ORDER BY r.started_at LIMIT 1) a
)
SELECT side, target AS name, count(*) AS count, count(*) FILTER (WHERE weir.is_error(outcome)) AS errors
FROM beside GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
