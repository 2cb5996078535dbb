-- Failures of the window's hours, alike ones together. Who had them, and which was the last, only for those that are shown.
WITH found AS (
    {parts}
), grouped AS (
    SELECT outcome, method, target, http_status, error_code, message, sum(n)::bigint AS count,
        min(first_at) AS first_at, max(last_at) AS last_at, array_agg(clients) AS clients
    FROM found GROUP BY 1, 2, 3, 4, 5, 6
), placed AS (
    SELECT *, weir.layer_of(outcome, http_status, message) AS layer, weir.fault_of(outcome, http_status, error_code) AS fault
    FROM grouped
), shown AS (
    SELECT * FROM placed
    WHERE (%(layer)s::text IS NULL OR layer = %(layer)s) AND (%(fault)s::text IS NULL OR fault = %(fault)s)
    ORDER BY count DESC, last_at DESC, target, message LIMIT %(limit)s
)
SELECT s.layer, s.fault, s.outcome, nullif(s.method, '') AS method, nullif(s.target, '') AS target,
    nullif(s.http_status, 0) AS http_status, nullif(s.error_code, 0) AS error_code, nullif(s.message, '') AS message,
    s.count, ARRAY(SELECT DISTINCT c FROM unnest(s.clients) AS l, unnest(l::text[]) AS c WHERE c <> '' ORDER BY c) AS clients,
    s.first_at, s.last_at,
    (SELECT e.last_request_key FROM weir.error_hour e
    WHERE e.at = date_bin('1 hour', s.last_at, timestamptz '1970-01-01 00:00:00+00') AND e.outcome = s.outcome
        AND e.method = s.method AND e.target = s.target AND e.http_status = s.http_status
        AND e.error_code = s.error_code AND e.message = s.message AND e.last_at = s.last_at
        AND (%(service)s::text IS NULL OR e.service = %(service)s) LIMIT 1) AS last_request_key
FROM shown s ORDER BY s.count DESC, s.last_at DESC, s.target, s.message
