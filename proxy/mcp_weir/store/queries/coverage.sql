-- Minutes of each instance, newest first from a cursor on.
SELECT c.minute, c.service, c.instance, sum(g.seen)::bigint AS seen, sum(c.stored)::bigint AS stored,
    sum(f.spooled - c.stored - c.quarantined)::bigint AS waiting, sum(g.seen - f.spooled - f.dropped)::bigint AS open,
    sum(f.dropped)::bigint AS dropped, sum(c.quarantined)::bigint AS quarantined,
    jsonb_agg(c.dropped) FILTER (WHERE c.dropped <> '{{}}') AS reasons
FROM {_coverage}
WHERE c.minute >= %(since)s AND c.minute < %(until)s AND (%(service)s::text IS NULL OR c.service = %(service)s)
    AND (%(after_at)s::timestamptz IS NULL OR (c.minute, c.service, c.instance)
        < (%(after_at)s, %(after_service)s, %(after_instance)s))
GROUP BY 1, 2, 3 ORDER BY c.minute DESC, c.service DESC, c.instance DESC LIMIT %(limit)s
