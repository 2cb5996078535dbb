SELECT name, service, latency_bucket, {sign}calls::float8 AS calls
FROM {table} WHERE facet = %(facet)s AND at >= {since} AND at < {until} AND {_facet_filter}
