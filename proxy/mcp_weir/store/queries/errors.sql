-- Failures of the window's hours, alike ones together.
WITH found AS (
    SELECT *, weir.layer_of(outcome, http_status, message) AS layer, weir.fault_of(outcome, http_status, error_code) AS fault
    FROM weir.error_hour
    WHERE at >= date_bin('1 hour', %(since)s, timestamptz '1970-01-01 00:00:00+00') AND at < %(until)s
        AND {_error_filter}
        AND (%(like)s::text IS NULL OR message ILIKE %(like)s OR target ILIKE %(like)s)
)
SELECT layer, fault, outcome, nullif(method, '') AS method, nullif(target, '') AS target,
    nullif(http_status, 0) AS http_status, nullif(error_code, 0) AS error_code, nullif(message, '') AS message,
    sum(requests)::bigint AS count, array_remove(array_agg(DISTINCT client), '') AS clients, min(at) AS first_at,
    max(last_at) AS last_at, (array_agg(last_request_key ORDER BY last_at DESC))[1] AS last_request_key
FROM found
WHERE (%(layer)s::text IS NULL OR layer = %(layer)s) AND (%(fault)s::text IS NULL OR fault = %(fault)s)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY count DESC, last_at DESC LIMIT %(limit)s
