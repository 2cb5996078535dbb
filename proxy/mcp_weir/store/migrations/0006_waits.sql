-- A long reader (an export, pg_dump) holds every partition. Attaching one takes ACCESS EXCLUSIVE on the default
-- partition, so the recorder would stand behind that reader, and every page behind the recorder. Hence: days are made
-- ahead of time, nobody waits longer than 0.3 s for one, and a day that could not be made lives in the default partition.

DROP FUNCTION weir.ensure_partition(date);
DROP FUNCTION weir.ensure_derived_partition(date);

CREATE FUNCTION weir.attach_day(parent text, day date) RETURNS boolean
    LANGUAGE plpgsql SET lock_timeout = '300ms'
    AS $$
DECLARE
    name text := parent || '_' || to_char(day, 'YYYYMMDD');
    spare text := parent || '_default';
    first timestamptz := day::timestamp AT TIME ZONE 'UTC';
    until timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF to_regclass('weir.' || name) IS NOT NULL THEN
        RETURN true;
    END IF;
    IF day > (now() AT TIME ZONE 'UTC')::date + 1 OR day < (now() AT TIME ZONE 'UTC')::date - 400 THEN
        RETURN false; -- a clock far off: the default partition takes it
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('weir.ensure_partition'));
    IF to_regclass('weir.' || name) IS NOT NULL THEN
        RETURN true;
    END IF;
    -- first, so that nobody writes there what is being moved away
    EXECUTE format('LOCK TABLE weir.%I IN ACCESS EXCLUSIVE MODE', spare);
    EXECUTE format('CREATE TABLE weir.%I (LIKE weir.%I INCLUDING DEFAULTS)', name, parent);
    EXECUTE format('WITH moved AS (DELETE FROM weir.%I WHERE started_at >= %L AND started_at < %L RETURNING *)'
        ' INSERT INTO weir.%I SELECT * FROM moved', spare, first, until, name);
    EXECUTE format('ALTER TABLE weir.%I ATTACH PARTITION weir.%I FOR VALUES FROM (%L) TO (%L)',
        parent, name, first, until);
    RETURN true;
EXCEPTION WHEN lock_not_available THEN
    RETURN false;
END $$;

CREATE FUNCTION weir.ensure_partition(day date) RETURNS boolean
    LANGUAGE sql AS $$ SELECT weir.attach_day('request_rows', day) $$;

CREATE FUNCTION weir.ensure_derived_partition(day date) RETURNS boolean
    LANGUAGE sql AS $$ SELECT weir.attach_day('derived_requests', day) $$;

-- Streams whose end nobody saw go by their beginning, unless a recorder still holds them; a tool that is listed no more
-- goes when the rollups that may name it have gone.
CREATE OR REPLACE FUNCTION weir.prune(requests timestamptz, minutes timestamptz, hours timestamptz, ledger timestamptz)
    RETURNS TABLE (name text, deleted bigint)
    LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT t.name, weir.delete_before(t.name, t.at, t.before) FROM (VALUES
        ('request_rows_default', 'started_at', requests), ('pending_requests', 'started_at', requests),
        ('derived_requests_default', 'started_at', requests), ('session_rows', 'last_seen_at', requests),
        ('stream_rows', 'closed_at', requests), ('quarantine_rows', 'at', requests), ('session_ends', 'at', requests),
        ('elsewhere', 'at', requests), ('handed_out', 'at', requests),
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
