-- Failures of the window's hours, alike ones together; which one was the last only for those that are shown.
WITH by_client AS (
    SELECT outcome, method, target, http_status, error_code, message, client, sum(requests::float8) AS n, min(at) AS first_at,
        max(last_at) AS last_at
    FROM weir.error_hour
    WHERE at >= date_bin('1 hour', %(since)s, timestamptz '1970-01-01 00:00:00+00') AND at < %(until)s
        AND {_error_filter}
        AND (%(like)s::text IS NULL OR message ILIKE %(like)s OR target ILIKE %(like)s)
    GROUP BY 1, 2, 3, 4, 5, 6, 7
), grouped AS (
    SELECT outcome, method, target, http_status, error_code, message, sum(n)::bigint AS count,
        min(first_at) AS first_at, max(last_at) AS last_at, array_agg(client) AS clients
    FROM by_client GROUP BY 1, 2, 3, 4, 5, 6
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
    s.count, ARRAY(SELECT c FROM unnest(s.clients) AS c WHERE c <> '' ORDER BY c) AS clients, s.first_at, s.last_at,
    (SELECT e.last_request_key FROM weir.error_hour e
    WHERE e.at = date_bin('1 hour', s.last_at, timestamptz '1970-01-01 00:00:00+00') AND e.outcome = s.outcome
        AND e.method = s.method AND e.target = s.target AND e.http_status = s.http_status
        AND e.error_code = s.error_code AND e.message = s.message AND e.last_at = s.last_at
        AND (%(service)s::text IS NULL OR e.service = %(service)s) LIMIT 1) AS last_request_key
FROM shown s ORDER BY s.count DESC, s.last_at DESC, s.target, s.message
