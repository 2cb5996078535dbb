SELECT outcome, method, target, http_status, error_code, message, ARRAY[client]::text AS clients, requests::float8 AS n,
        at AS first_at, last_at
    FROM weir.error_hour WHERE at >= {since} AND at < {until}
        AND (%(client)s::text IS NULL OR client = %(client)s) AND {_error_filter}
