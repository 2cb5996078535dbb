-- A facet's requests by outcome, most first.
SELECT outcome AS name, sum(requests)::bigint AS count,
    coalesce(sum(requests) FILTER (WHERE weir.is_error(outcome)), 0)::bigint AS errors
FROM {counts} AS f
GROUP BY 1 HAVING sum(requests) > 0 ORDER BY 2 DESC, 1
