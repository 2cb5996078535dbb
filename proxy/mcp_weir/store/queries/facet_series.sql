-- Steps of a facet's level at or below the grain; the first step may begin before the window. Histograms as in series.
WITH counted AS (
    SELECT date_bin(%(grain)s, at, timestamptz '1970-01-01 00:00:00+00') AS step, sum(requests::float8)::bigint AS requests,
        coalesce(sum(requests::float8) FILTER (WHERE is_call), 0)::bigint AS calls,
        coalesce(sum(requests::float8) FILTER (WHERE weir.is_error(outcome)), 0)::bigint AS errors,
        sum(tokens_in::float8)::bigint AS tokens_in, sum(tokens_out::float8)::bigint AS tokens_out
    FROM {counts}
    WHERE facet = %(facet)s AND at >= date_bin(%(grain)s, %(since)s, timestamptz '1970-01-01 00:00:00+00')
        AND at < %(until)s AND {_facet_filter}
    GROUP BY 1
), timed AS (
    SELECT date_bin(%(grain)s, at, timestamptz '1970-01-01 00:00:00+00') AS step, array_agg(latency_bucket) AS buckets,
        array_agg(calls::float8) AS counts
    FROM {latencies}
    WHERE facet = %(facet)s AND at >= date_bin(%(grain)s, %(since)s, timestamptz '1970-01-01 00:00:00+00')
        AND at < %(until)s AND {_facet_filter}
    GROUP BY 1
)
SELECT step AS at, requests, calls, errors, tokens_in, tokens_out, buckets, counts
FROM counted LEFT JOIN timed USING (step) ORDER BY step
