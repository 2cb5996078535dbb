INSERT INTO weir.catalog_rows AS c (service, content_hash, tool, description, schema_hash, tokens, first_seen,
    last_seen, times_listed)
SELECT service, content_hash, tool, description, schema_hash, tokens, first_seen, last_seen, times
FROM unnest(%s::text[], %s::bytea[], %s::text[], %s::text[], %s::bytea[], %s::bigint[], %s::timestamptz[],
        %s::timestamptz[], %s::bigint[])
    AS f (service, content_hash, tool, description, schema_hash, tokens, first_seen, last_seen, times)
ORDER BY 1, 2
ON CONFLICT (service, content_hash) DO UPDATE SET first_seen = least(c.first_seen, excluded.first_seen),
    last_seen = greatest(c.last_seen, excluded.last_seen), times_listed = c.times_listed + excluded.times_listed
