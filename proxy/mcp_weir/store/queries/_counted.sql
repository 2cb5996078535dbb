sum(requests) AS n, sum(duration_us) AS us, sum(request_bytes) AS bytes_in, sum(response_bytes) AS bytes_out,
        sum(tokens_in) AS t_in, sum(tokens_out) AS t_out
