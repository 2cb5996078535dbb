-- Minutes of each instance, newest first from a cursor on.
SELECT minute, service, instance, sum(seen)::bigint AS seen, sum(stored)::bigint AS stored,
    sum(spooled)::bigint AS spooled, sum(quarantined)::bigint AS quarantined,
    jsonb_agg(dropped) FILTER (WHERE dropped <> '{{}}') AS dropped
FROM weir.coverage_rows
WHERE minute >= %(since)s AND minute < %(until)s AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (%(after_at)s::timestamptz IS NULL OR (minute, service, instance) < (%(after_at)s, %(after_service)s, %(after_instance)s))
GROUP BY 1, 2, 3 ORDER BY minute DESC, service DESC, instance DESC LIMIT %(limit)s
