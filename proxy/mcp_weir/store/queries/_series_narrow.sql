(SELECT at, is_call, outcome, latency_bucket, requests::float8 AS n, tokens_in::float8 AS t_in, tokens_out::float8 AS t_out
FROM {table}
WHERE at >= date_bin(%(grain)s, %(since)s, timestamptz '1970-01-01 00:00:00+00') AND at < %(until)s AND {_total_filter}) AS s
