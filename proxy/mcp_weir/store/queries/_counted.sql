sum(requests::float8) AS n, sum(duration_us::float8) AS us, sum(request_bytes::float8) AS bytes_in, sum(response_bytes::float8) AS bytes_out,
        sum(tokens_in::float8) AS t_in, sum(tokens_out::float8) AS t_out
