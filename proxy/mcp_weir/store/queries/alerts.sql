-- Each service: the last quarter of an hour, and the hour before it, in calls.
SELECT service,
    coalesce(sum(requests) FILTER (WHERE at >= %(recent)s), 0)::bigint AS requests,
    coalesce(sum(requests) FILTER (WHERE at >= %(recent)s AND weir.is_error(outcome)), 0)::bigint AS errors,
    coalesce(sum(requests) FILTER (WHERE at >= %(recent)s AND is_call), 0)::bigint AS calls,
    coalesce(sum(requests) FILTER (WHERE at < %(recent)s AND is_call), 0)::bigint AS calls_before
FROM weir.total_minute
WHERE at >= %(since)s AND at < %(until)s AND (%(service)s::text IS NULL OR service = %(service)s)
GROUP BY 1 ORDER BY 1
