SELECT outcome, method, target, http_status, error_code, message, clients::text AS clients, requests::float8 AS n, first_at, last_at
    FROM weir.error_day WHERE at >= {since} AND at < {until} AND {_error_filter}
