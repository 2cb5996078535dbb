-- Steps of a facet's level at or below the grain; the first step may begin before the window.
WITH counted AS (
    SELECT date_bin(%(grain)s, at, timestamptz '1970-01-01 00:00:00+00') AS step, sum(requests::float8)::bigint AS requests,
        coalesce(sum(requests::float8) FILTER (WHERE is_call), 0)::bigint AS calls,
        coalesce(sum(requests::float8) FILTER (WHERE weir.is_error(outcome)), 0)::bigint AS errors,
        sum(tokens_in::float8)::bigint AS tokens_in, sum(tokens_out::float8)::bigint AS tokens_out
    FROM {counts}
    WHERE facet = %(facet)s AND at >= date_bin(%(grain)s, %(since)s, timestamptz '1970-01-01 00:00:00+00')
        AND at < %(until)s AND {_facet_filter}
    GROUP BY 1
), ranked AS (
    SELECT step, latency_bucket, sum(n) OVER (PARTITION BY step ORDER BY latency_bucket) AS upto,
        sum(n) OVER (PARTITION BY step) AS total
    FROM (
        SELECT date_bin(%(grain)s, at, timestamptz '1970-01-01 00:00:00+00') AS step, latency_bucket, sum(calls::float8) AS n
        FROM {latencies}
        WHERE facet = %(facet)s AND at >= date_bin(%(grain)s, %(since)s, timestamptz '1970-01-01 00:00:00+00')
            AND at < %(until)s AND {_facet_filter}
        GROUP BY 1, 2) g
), percentiles AS (
    SELECT step, {_percentiles} FROM ranked GROUP BY 1
)
SELECT step AS at, requests, calls, errors, p50_ms, p95_ms, p99_ms, tokens_in, tokens_out
FROM counted LEFT JOIN percentiles USING (step) ORDER BY step
