SELECT 'database_bytes', pg_database_size(current_database())
UNION ALL SELECT 'partitions', count(*) FROM pg_inherits WHERE inhparent = 'weir.request_rows'::regclass
UNION ALL SELECT 'requests_estimated', coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid WHERE i.inhparent = 'weir.request_rows'::regclass
UNION ALL SELECT 'requests_rolled_up', coalesce(sum(requests), 0) FROM weir.total_day
UNION ALL SELECT 'sessions', count(*) FROM weir.session_rows
UNION ALL SELECT 'running', count(*) FROM weir.pending_requests
UNION ALL SELECT 'open_exchanges', count(*) FROM weir.open_exchanges
UNION ALL SELECT 'quarantined', count(*) FROM weir.quarantine_rows
UNION ALL SELECT 'tombstones', count(*) FROM weir.tombstones
UNION ALL SELECT 'segments_unfinished', count(*) FROM weir.segments WHERE NOT done
