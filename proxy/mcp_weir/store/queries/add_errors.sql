-- Rows that ended otherwise than ok, as arrays; weir.is_error says which of them are errors.
INSERT INTO weir.error_hour AS e
SELECT date_trunc('hour', started_at, 'UTC'), service, method, target, client, outcome, http_status, error_code,
    weir.error_group(message), count(*), max(started_at),
    (array_agg(request_key ORDER BY started_at DESC, request_key DESC))[1]
FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::bigint[],
    %s::text[], %s::uuid[])
    AS f (started_at, service, method, target, client, outcome, http_status, error_code, message, request_key)
WHERE weir.is_error(outcome)
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
ON CONFLICT (at, service, method, target, client, outcome, http_status, error_code, message) DO UPDATE SET
    requests = e.requests + excluded.requests,
    last_at = greatest(e.last_at, excluded.last_at),
    last_request_key = CASE WHEN (excluded.last_at, excluded.last_request_key) > (e.last_at, e.last_request_key)
        THEN excluded.last_request_key ELSE e.last_request_key END
