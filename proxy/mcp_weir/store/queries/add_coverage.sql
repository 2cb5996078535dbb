INSERT INTO weir.coverage_rows AS c (stream, minute, service, instance, seen, spooled, dropped, stored, quarantined)
SELECT stream, minute, service, instance, coalesce(seen, 0), coalesce(spooled, 0), coalesce(dropped, '{}'), stored,
    quarantined
FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::jsonb[],
    %s::bigint[], %s::bigint[])
    AS f (stream, minute, service, instance, seen, spooled, dropped, stored, quarantined)
ORDER BY stream, minute
ON CONFLICT (stream, minute) DO UPDATE SET
    seen = greatest(c.seen, excluded.seen), spooled = greatest(c.spooled, excluded.spooled),
    -- what the page says, and what was found when the stream was buried
    dropped = CASE WHEN excluded.dropped = '{}' THEN c.dropped ELSE c.dropped || excluded.dropped END,
    stored = c.stored + excluded.stored, quarantined = c.quarantined + excluded.quarantined
