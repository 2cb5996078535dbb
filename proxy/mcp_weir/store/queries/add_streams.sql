INSERT INTO weir.stream_rows (stream_key, service, instance, session_key, kind, opened_at, closed_at, closed_by, events,
    bytes, resumed_from)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::text[], %s::uuid[], %s::text[], %s::timestamptz[], %s::timestamptz[],
    %s::text[], %s::bigint[], %s::bigint[], %s::uuid[])
ORDER BY 1
ON CONFLICT (stream_key) DO UPDATE SET closed_at = excluded.closed_at, closed_by = excluded.closed_by,
    events = excluded.events, bytes = excluded.bytes,
    resumed_from = coalesce(excluded.resumed_from, weir.stream_rows.resumed_from)
