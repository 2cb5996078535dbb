SELECT '' AS name, service, latency_bucket, {sign}requests::float8 AS calls
FROM weir.total_minute WHERE at >= {since} AND at < {until} AND is_call AND latency_bucket > -128
    AND (%(service)s::text IS NULL OR service = %(service)s)
