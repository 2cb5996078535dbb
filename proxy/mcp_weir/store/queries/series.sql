-- Steps of a source at or below the grain, the first of which may begin before the window; with each step's histogram:
-- its percentiles are found where they are shown, which costs a third of two windows over it here.
SELECT date_bin(%(grain)s, at, timestamptz '1970-01-01 00:00:00+00') AS at, sum(n)::bigint AS requests,
    coalesce(sum(n) FILTER (WHERE is_call), 0)::bigint AS calls,
    coalesce(sum(n) FILTER (WHERE weir.is_error(outcome)), 0)::bigint AS errors,
    sum(t_in)::bigint AS tokens_in, sum(t_out)::bigint AS tokens_out,
    array_agg(latency_bucket) FILTER (WHERE is_call AND latency_bucket > -128) AS buckets,
    array_agg(n) FILTER (WHERE is_call AND latency_bucket > -128) AS counts
FROM {source} GROUP BY 1 ORDER BY 1
