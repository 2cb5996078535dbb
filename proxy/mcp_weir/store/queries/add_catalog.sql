INSERT INTO weir.catalog_rows AS c (service, content_hash, tool, description, schema_hash, tokens, first_seen,
    last_seen, times_listed)
SELECT service, content_hash, tool, description, schema_hash, tokens, seen_at, seen_at, 1
FROM unnest(%s::text[], %s::bytea[], %s::text[], %s::text[], %s::bytea[], %s::bigint[], %s::timestamptz[])
    AS f (service, content_hash, tool, description, schema_hash, tokens, seen_at)
ORDER BY 1, 2
ON CONFLICT (service, content_hash) DO UPDATE SET first_seen = least(c.first_seen, excluded.first_seen),
    last_seen = greatest(c.last_seen, excluded.last_seen), times_listed = c.times_listed + 1
