-- Seen against stored in the window.
SELECT coalesce(sum(seen), 0)::bigint AS seen, coalesce(sum(stored), 0)::bigint AS stored,
    coalesce(sum(spooled), 0)::bigint AS spooled, coalesce(sum(quarantined), 0)::bigint AS quarantined,
    (SELECT max(updated_at) FROM weir.segments) AS last_commit_at,
    (SELECT max(version) FROM weir.schema_version) AS schema_version,
    (SELECT count(*) FROM weir.open_exchanges) AS open
FROM weir.coverage_rows
WHERE minute >= %(since)s AND minute < %(until)s AND (%(service)s::text IS NULL OR service = %(service)s)
