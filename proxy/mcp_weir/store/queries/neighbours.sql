-- What was called just before and just after these calls, in the same session and within an hour. All of it lies between
-- `first` and `last`: without them every day's partition would be planned, four times.
WITH calls AS (
    SELECT * FROM unnest(%(sessions)s::uuid[], %(derived)s::bool[], %(at)s::timestamptz[]) AS c (session_key, derived, started_at)
), beside AS (
    SELECT 'before' AS side, b.target, b.outcome FROM calls c, LATERAL (
        SELECT r.target, r.outcome FROM weir.request_rows r
        WHERE r.started_at >= %(first)s AND r.started_at < %(last)s AND r.session_key = c.session_key AND r.started_at < c.started_at
            AND r.started_at > c.started_at - interval '1 hour' AND r.method = 'tools/call'
        ORDER BY r.started_at DESC LIMIT 1) b
    WHERE NOT c.derived
    UNION ALL
    SELECT 'after', a.target, a.outcome FROM calls c, LATERAL (
        SELECT r.target, r.outcome FROM weir.request_rows r
        WHERE r.started_at >= %(first)s AND r.started_at < %(last)s AND r.session_key = c.session_key AND r.started_at > c.started_at
            AND r.started_at < c.started_at + interval '1 hour' AND r.method = 'tools/call'
        ORDER BY r.started_at LIMIT 1) a
    WHERE NOT c.derived
    UNION ALL
    SELECT 'before', b.target, b.outcome FROM calls c, LATERAL (
        SELECT r.target, r.outcome FROM weir.derived_requests d
            JOIN weir.request_rows r ON r.request_key = d.request_key AND r.started_at = d.started_at
                AND r.started_at >= %(first)s AND r.started_at < %(last)s
        WHERE d.started_at >= %(first)s AND d.started_at < %(last)s AND d.session_key = c.session_key AND d.started_at < c.started_at
            AND d.started_at > c.started_at - interval '1 hour' AND r.method = 'tools/call'
        ORDER BY d.started_at DESC LIMIT 1) b
    WHERE c.derived
    UNION ALL
    SELECT 'after', a.target, a.outcome FROM calls c, LATERAL (
        SELECT r.target, r.outcome FROM weir.derived_requests d
            JOIN weir.request_rows r ON r.request_key = d.request_key AND r.started_at = d.started_at
                AND r.started_at >= %(first)s AND r.started_at < %(last)s
        WHERE d.started_at >= %(first)s AND d.started_at < %(last)s AND d.session_key = c.session_key AND d.started_at > c.started_at
            AND d.started_at < c.started_at + interval '1 hour' AND r.method = 'tools/call'
        ORDER BY d.started_at LIMIT 1) a
    WHERE c.derived
)
SELECT side, target AS name, count(*) AS count, count(*) FILTER (WHERE weir.is_error(outcome)) AS errors
FROM beside GROUP BY 1, 2 ORDER BY 1, 3 DESC, 2
