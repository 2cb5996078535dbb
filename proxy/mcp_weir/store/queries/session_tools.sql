-- What a session called, and what tools/list sent it.
SELECT CASE WHEN r.method = 'tools/call' THEN r.target END AS name, count(*) AS count,
    count(*) FILTER (WHERE weir.is_error(r.outcome)) AS errors,
    coalesce(sum(r.tokens_out) FILTER (WHERE r.method = 'tools/list'), 0)::bigint AS listed
FROM {_of_session} AND r.direction = 'client' GROUP BY 1 ORDER BY 2 DESC, 1
