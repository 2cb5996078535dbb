weir.coverage_rows c,
    LATERAL (SELECT greatest(c.spooled, c.stored + c.quarantined) AS spooled,
        CASE WHEN c.dropped = '{{}}' THEN 0 ELSE weir.total(c.dropped) END AS dropped) f,
    LATERAL (SELECT greatest(c.seen, f.spooled + f.dropped) AS seen) g
