-- Seen against stored in the window: seen = stored + waiting + open + dropped + quarantined.
SELECT coalesce(sum(g.seen), 0)::bigint AS seen, coalesce(sum(c.stored), 0)::bigint AS stored,
    coalesce(sum(f.spooled - c.stored - c.quarantined), 0)::bigint AS waiting,
    coalesce(sum(g.seen - f.spooled - f.dropped), 0)::bigint AS open, coalesce(sum(f.dropped), 0)::bigint AS dropped,
    coalesce(sum(c.quarantined), 0)::bigint AS quarantined,
    (SELECT max(updated_at) FROM weir.segments) AS last_commit_at,
    (SELECT max(version) FROM weir.schema_version) AS schema_version
FROM {_coverage}
WHERE c.minute >= %(since)s AND c.minute < %(until)s AND (%(service)s::text IS NULL OR c.service = %(service)s)
