-- Seen against stored in the window: seen = stored + waiting + open + dropped + quarantined. Few sums: each evaluates what
-- it adds up, for 10,000 minutes of a week.
WITH summed AS (
    SELECT coalesce(sum(g.seen), 0)::bigint AS seen, coalesce(sum(c.stored), 0)::bigint AS stored,
        coalesce(sum(f.spooled), 0)::bigint AS spooled, coalesce(sum(f.dropped), 0)::bigint AS dropped,
        coalesce(sum(c.quarantined), 0)::bigint AS quarantined
    FROM {_coverage}
    WHERE c.minute >= %(since)s AND c.minute < %(until)s AND (%(service)s::text IS NULL OR c.service = %(service)s)
)
SELECT seen, stored, spooled - stored - quarantined AS waiting, seen - spooled - dropped AS open, dropped, quarantined,
    (SELECT max(updated_at) FROM weir.segments) AS last_commit_at,
    (SELECT max(version) FROM weir.schema_version) AS schema_version
FROM summed
