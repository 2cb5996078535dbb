(SELECT date_bin(%(grain)s, at, timestamptz '1970-01-01 00:00:00+00') AS at,
    (direction = 'client' AND method = 'tools/call') AS is_call, outcome, latency_bucket,
    sum(requests::float8) AS n, sum(tokens_in::float8) AS t_in, sum(tokens_out::float8) AS t_out
FROM {table}
WHERE at >= date_bin(%(grain)s, %(since)s, timestamptz '1970-01-01 00:00:00+00') AND at < %(until)s AND {_rollup_filter}
GROUP BY 1, 2, 3, 4) AS s
