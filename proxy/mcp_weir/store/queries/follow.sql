-- Rows committed since the snapshot `mark`, in time order: a late row is as new as any other.
WITH fresh AS (
    SELECT {_request_columns} FROM weir.request_rows r
    WHERE recorded_xid >= pg_snapshot_xmin(%(mark)s::pg_snapshot)
        AND NOT pg_visible_in_snapshot(recorded_xid, %(mark)s::pg_snapshot) AND {_request_filter}
)
SELECT f.*, d.session_key AS derived_key FROM fresh f LEFT JOIN {_derived_join}
ORDER BY f.started_at, f.request_key
