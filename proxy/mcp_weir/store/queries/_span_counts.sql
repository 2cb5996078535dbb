SELECT name, service, is_call, outcome, {sign}requests::float8 AS requests, {sign}timed::float8 AS timed,
    {sign}duration_us::float8 AS duration_us, {sign}request_bytes::float8 AS request_bytes,
    {sign}response_bytes::float8 AS response_bytes, {sign}tokens_in::float8 AS tokens_in, {sign}tokens_out::float8 AS tokens_out
FROM {table} WHERE facet = %(facet)s AND at >= {since} AND at < {until} AND {_facet_filter}
