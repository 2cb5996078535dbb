-- Rows that ended otherwise than ok, as arrays; weir.is_error says which of them are errors. By hour and client, and by day.
WITH failed AS MATERIALIZED (
    SELECT date_trunc('hour', started_at, 'UTC') AS at, service, method, target, client, outcome, http_status, error_code,
        weir.error_group(message) AS message, count(*) AS requests, max(started_at) AS last_at,
        (array_agg(request_key ORDER BY started_at DESC, request_key DESC))[1] AS last_request_key
    FROM unnest(%s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::bigint[],
        %s::text[], %s::uuid[])
        AS f (started_at, service, method, target, client, outcome, http_status, error_code, message, request_key)
    WHERE weir.is_error(outcome)
    GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
), by_hour AS (
    INSERT INTO weir.error_hour AS e
    SELECT * FROM failed ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ON CONFLICT (at, service, method, target, client, outcome, http_status, error_code, message) DO UPDATE SET
        requests = e.requests + excluded.requests,
        last_at = greatest(e.last_at, excluded.last_at),
        last_request_key = CASE WHEN (excluded.last_at, excluded.last_request_key) > (e.last_at, e.last_request_key)
            THEN excluded.last_request_key ELSE e.last_request_key END
)
INSERT INTO weir.error_day AS d
SELECT date_trunc('day', at, 'UTC'), service, method, target, outcome, http_status, error_code, message,
    (array_agg(DISTINCT client ORDER BY client))[:100], sum(requests), min(at), max(last_at)
FROM failed GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1, 2, 3, 4, 5, 6, 7, 8
ON CONFLICT (at, service, method, target, outcome, http_status, error_code, message) DO UPDATE SET
    clients = weir.merged_clients(d.clients, excluded.clients),
    requests = d.requests + excluded.requests,
    first_at = least(d.first_at, excluded.first_at),
    last_at = greatest(d.last_at, excluded.last_at)
