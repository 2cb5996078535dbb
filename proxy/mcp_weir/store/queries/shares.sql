-- Requests of the window by column, most first.
SELECT {column} AS name, sum(requests)::bigint AS count,
    coalesce(sum(requests) FILTER (WHERE weir.is_error(outcome)), 0)::bigint AS errors
FROM weir.rolled(%(since)s, %(until)s) WHERE {_rollup_filter}
GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT %(limit)s
