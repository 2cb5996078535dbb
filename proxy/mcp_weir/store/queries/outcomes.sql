-- A facet's requests by outcome, most first.
SELECT outcome AS name, sum(requests)::bigint AS count,
    coalesce(sum(requests) FILTER (WHERE weir.is_error(outcome)), 0)::bigint AS errors
FROM weir.faceted(%(facet)s, %(since)s, %(until)s) WHERE {_facet_filter}
GROUP BY 1 ORDER BY 2 DESC, 1
