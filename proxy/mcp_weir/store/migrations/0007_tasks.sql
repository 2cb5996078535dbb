-- How tasks ended, where a notification said so and no answer did. The hash is that of weir.handed_out.
CREATE TABLE weir.task_ends (
    hash bytea PRIMARY KEY, -- of (service, principal or session, task)
    at timestamptz NOT NULL,
    outcome text NOT NULL,
    operation_key uuid -- once it is known who made the task
);
CREATE INDEX task_ends_operation ON weir.task_ends (operation_key);
CREATE INDEX task_ends_at ON weir.task_ends (at);

-- Operations of more than one request, or of one whose task ended by itself: rounds that asked for input, tasks from
-- creation to result.
CREATE OR REPLACE VIEW weir.operations AS
SELECT r.service, r.operation_key, (array_agg(r.session_key ORDER BY r.started_at))[1] AS session_key,
    (array_agg(r.method ORDER BY r.started_at))[1] AS method, (array_agg(r.target ORDER BY r.started_at))[1] AS target,
    min(r.started_at) AS started_at,
    greatest(max(r.started_at + coalesce(r.duration_ms, 0) * interval '1 millisecond'), max(t.at)) AS ended_at,
    coalesce( -- a result says more than a status
        (array_agg(r.outcome ORDER BY r.started_at DESC) FILTER (WHERE r.method = 'tasks/result'))[1],
        (array_agg(t.outcome))[1], (array_agg(r.outcome ORDER BY r.started_at DESC))[1]) AS outcome,
    count(*) AS rounds, sum(r.duration_ms) AS server_ms,
    extract(epoch FROM
        greatest(max(r.started_at + coalesce(r.duration_ms, 0) * interval '1 millisecond'), max(t.at))
        - min(r.started_at)) * 1000 - coalesce(sum(r.duration_ms), 0) AS client_ms
FROM weir.requests r LEFT JOIN weir.task_ends t ON t.operation_key = r.operation_key
WHERE r.operation_key IN (
    SELECT operation_key FROM weir.request_rows WHERE operation_key <> request_key
    UNION SELECT operation_key FROM weir.task_ends WHERE operation_key IS NOT NULL)
GROUP BY r.service, r.operation_key;

CREATE OR REPLACE FUNCTION weir.prune(requests timestamp with time zone, minutes timestamp with time zone, hours timestamp with time zone, ledger timestamp with time zone) RETURNS TABLE(name text, deleted bigint)
    LANGUAGE plpgsql
    AS $$
BEGIN
    RETURN QUERY SELECT t.name, weir.delete_before(t.name, t.at, t.before) FROM (VALUES
        ('request_rows_default', 'started_at', requests), ('pending_requests', 'started_at', requests),
        ('derived_requests_default', 'started_at', requests), ('session_rows', 'last_seen_at', requests),
        ('stream_rows', 'closed_at', requests), ('quarantine_rows', 'at', requests), ('session_ends', 'at', requests),
        ('elsewhere', 'at', requests), ('handed_out', 'at', requests), ('task_ends', 'at', requests),
        ('coverage_rows', 'minute', greatest(requests, hours)), ('catalog_rows', 'last_seen', least(requests, hours)),
        ('rollup_minute', 'at', minutes), ('total_minute', 'at', minutes),
        ('rollup_hour', 'at', hours), ('rollup_day', 'at', hours), ('total_hour', 'at', hours),
        ('total_day', 'at', hours), ('error_hour', 'at', hours), ('facet_hour', 'at', hours),
        ('facet_day', 'at', hours), ('latency_hour', 'at', hours), ('latency_day', 'at', hours)
    ) AS t (name, at, before);
    RETURN QUERY WITH gone AS (DELETE FROM weir.segments WHERE done AND updated_at < ledger RETURNING 1)
        SELECT 'segments'::text, count(*) FROM gone;
    -- what a worker left open that no recorder has heard of for a whole retention
    RETURN QUERY WITH gone AS (DELETE FROM weir.open_exchanges o WHERE NOT EXISTS (
            SELECT 1 FROM weir.segments s WHERE s.stream = o.stream AND s.updated_at >= requests)
            AND isfinite(requests) RETURNING 1)
        SELECT 'open_exchanges'::text, count(*) FROM gone;
    RETURN QUERY WITH gone AS (DELETE FROM weir.stream_rows s WHERE s.closed_at IS NULL AND s.opened_at < requests
            AND (s.closed_by IS NOT NULL OR NOT EXISTS (SELECT 1 FROM weir.open_exchanges o
                WHERE o.service = s.service AND o.session_key IS NOT DISTINCT FROM s.session_key)) RETURNING 1)
        SELECT 'stream_rows'::text, count(*) FROM gone;
    UPDATE weir.retained SET since = greatest(since, requests), minutes_since = greatest(minutes_since, minutes),
        pruned_at = now();
END $$;
