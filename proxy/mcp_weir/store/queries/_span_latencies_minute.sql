SELECT {name} AS name, service, latency_bucket, {sign}requests::float8 AS calls
FROM weir.rollup_minute WHERE at >= {since} AND at < {until} AND {_span_calls} AND latency_bucket > -128 AND {_span_filter}
