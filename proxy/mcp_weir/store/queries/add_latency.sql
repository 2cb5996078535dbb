INSERT INTO weir.latency_{grain} AS r
SELECT * FROM unnest(%s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::smallint[], %s::bigint[])
ORDER BY 1, 3, 2, 4, 5
ON CONFLICT (facet, at, name, service, latency_bucket) DO UPDATE SET calls = r.calls + excluded.calls
