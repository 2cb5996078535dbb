-- Recording: error groups, coverage that adds up, gaps, tombstones, retention.

-- A message with its digits and quoted parts blanked, so that equal failures count as one; 200 characters.
CREATE FUNCTION weir.error_group(message text) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT left(regexp_replace(regexp_replace(coalesce(message, ''),
    '"[^"]*"|''[^'']*''|`[^`]*`', '"…"', 'g'), '[0-9]+', '#', 'g'), 200) $$;

ALTER TABLE weir.rollup_minute SET (fillfactor = 70);
ALTER TABLE weir.rollup_hour SET (fillfactor = 70);
ALTER TABLE weir.rollup_day SET (fillfactor = 70);
ALTER TABLE weir.total_minute SET (fillfactor = 70);
ALTER TABLE weir.total_hour SET (fillfactor = 70);
ALTER TABLE weir.total_day SET (fillfactor = 70);
ALTER TABLE weir.coverage_rows SET (fillfactor = 70);
ALTER TABLE weir.session_rows SET (fillfactor = 70);

CREATE INDEX coverage_rows_dropped ON weir.coverage_rows (minute) WHERE dropped <> '{}';
CREATE INDEX open_exchanges_stream ON weir.open_exchanges (stream);
CREATE INDEX quarantine_rows_at ON weir.quarantine_rows (at);

-- As before, and a day whose rows already stand in the default partition (a clock was off, or has been) takes them over.
CREATE OR REPLACE FUNCTION weir.ensure_partition(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'request_rows_' || to_char(day, 'YYYYMMDD');
    first timestamptz := day::timestamp AT TIME ZONE 'UTC';
    until timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF day > (now() AT TIME ZONE 'UTC')::date + 1 OR day < (now() AT TIME ZONE 'UTC')::date - 400 THEN
        RETURN; -- a clock far off: the default partition takes it
    END IF;
    IF to_regclass('weir.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('weir.ensure_partition'));
    IF to_regclass('weir.' || name) IS NOT NULL THEN
        RETURN;
    END IF;
    EXECUTE format('CREATE TABLE weir.%I (LIKE weir.request_rows INCLUDING DEFAULTS)', name);
    EXECUTE format('WITH moved AS (DELETE FROM weir.request_rows_default WHERE started_at >= %L AND started_at < %L'
        ' RETURNING *) INSERT INTO weir.%I SELECT * FROM moved', first, until, name);
    EXECUTE format('ALTER TABLE weir.request_rows ATTACH PARTITION weir.%I FOR VALUES FROM (%L) TO (%L)',
        name, first, until);
END $$;

-- The sum of a jsonb object of counts.
CREATE FUNCTION weir.total(counts jsonb) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT coalesce(sum(value::bigint), 0)::bigint FROM jsonb_each_text(counts) $$;

-- A stream is dead and read to its end: of what it saw, whatever is neither stored nor counted otherwise is `lost`.
-- An exchange that was dropped may also stand as an interrupted row: it is counted once, as dropped.
CREATE FUNCTION weir.bury(dead uuid) RETURNS void LANGUAGE sql AS $$
    UPDATE weir.coverage_rows SET
        stored = least(stored, greatest(seen - quarantined - weir.total(dropped - 'lost'), 0)),
        spooled = least(stored, greatest(seen - quarantined - weir.total(dropped - 'lost'), 0)) + quarantined,
        dropped = (dropped - 'lost') || CASE
            WHEN seen > stored + quarantined + weir.total(dropped - 'lost')
            THEN jsonb_build_object('lost', seen - stored - quarantined - weir.total(dropped - 'lost'))
            ELSE '{}' END
    WHERE stream = dead AND seen > 0
$$;

-- seen = stored + spooled + open + dropped + quarantined, by minute of opening. `spooled` waits to be stored; `stored`
-- means that an exchange's facts are committed, even where they make no row.
DROP VIEW weir.coverage;
CREATE VIEW weir.coverage AS
SELECT c.service, c.instance, c.minute,
    sum(greatest(c.seen, f.spooled + f.dropped))::bigint AS seen,
    sum(c.stored)::bigint AS stored,
    sum(f.spooled - c.stored - c.quarantined)::bigint AS spooled,
    sum(greatest(c.seen, f.spooled + f.dropped) - f.spooled - f.dropped)::bigint AS open,
    sum(f.dropped)::bigint AS dropped,
    sum(c.quarantined)::bigint AS quarantined,
    coalesce((SELECT jsonb_object_agg(reason, n) FROM (
        SELECT key AS reason, sum(value::bigint) AS n
        FROM weir.coverage_rows d CROSS JOIN LATERAL jsonb_each_text(d.dropped)
        WHERE d.service = c.service AND d.instance = c.instance AND d.minute = c.minute AND d.dropped <> '{}'
        GROUP BY key) r), '{}') AS reasons
FROM weir.coverage_rows c
CROSS JOIN LATERAL (SELECT greatest(c.spooled, c.stored + c.quarantined) AS spooled, weir.total(c.dropped) AS dropped) f
GROUP BY c.service, c.instance, c.minute;

-- Stretches of minutes in which exchanges were dropped; `ended_at` is the end of the last such minute.
CREATE VIEW weir.gaps AS
WITH lossy AS (
    SELECT service, instance, minute, key AS reason, sum(value::bigint) AS n,
        minute - interval '1 minute' * dense_rank() OVER (PARTITION BY service, instance ORDER BY minute) AS stretch
    FROM weir.coverage_rows CROSS JOIN LATERAL jsonb_each_text(dropped)
    WHERE dropped <> '{}'
    GROUP BY service, instance, minute, key
), reasons AS (
    SELECT service, instance, stretch, reason, min(minute) AS first, max(minute) AS last, sum(n)::bigint AS n
    FROM lossy GROUP BY service, instance, stretch, reason
)
SELECT service, instance, min(first) AS started_at, max(last) + interval '1 minute' AS ended_at,
    sum(n)::bigint AS dropped, jsonb_object_agg(reason, n) AS reasons
FROM reasons GROUP BY service, instance, stretch;

-- Who is to be forgotten: the recorder leaves out what was opened before `at` and is still spooled.
CREATE TABLE weir.tombstones (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    session_key uuid,
    principal_key bytea,
    CHECK (num_nonnulls(session_key, principal_key) = 1)
);

-- Requests before this time were dropped: rollups older than it cannot be made again.
CREATE TABLE weir.retained (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    since timestamptz NOT NULL DEFAULT '-infinity',
    pruned_at timestamptz
);
INSERT INTO weir.retained DEFAULT VALUES;
ALTER TABLE weir.retained ADD COLUMN minutes_since timestamptz NOT NULL DEFAULT '-infinity';

-- Day partitions that lie wholly before a time.
CREATE FUNCTION weir.expired_partitions(before timestamptz) RETURNS SETOF text LANGUAGE sql STABLE AS $$
    SELECT c.relname::text FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    JOIN pg_namespace n ON n.oid = p.relnamespace
    WHERE n.nspname = 'weir' AND p.relname IN ('request_rows', 'derived_requests')
        AND c.relname ~ '_[0-9]{8}$'
        AND to_date(right(c.relname, 8), 'YYYYMMDD') < (before AT TIME ZONE 'UTC')::date
    ORDER BY 1
$$;

-- Deletes a table's rows from before a time; returns how many. A table that this version does not have has none.
CREATE FUNCTION weir.delete_before(name text, at text, before timestamptz) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE n bigint := 0;
BEGIN
    IF to_regclass('weir.' || name) IS NOT NULL THEN
        EXECUTE format('DELETE FROM weir.%I WHERE %I < %L', name, at, before);
        GET DIAGNOSTICS n = ROW_COUNT;
    END IF;
    RETURN n;
END $$;

-- What lies outside retention, partitions apart. `requests`: requests and what belongs to them; `minutes`: rollups by
-- minute; `hours`: those by hour and day; `ledger`: segments that were finished then. Returns rows deleted by table.
CREATE FUNCTION weir.prune(requests timestamptz, minutes timestamptz, hours timestamptz, ledger timestamptz)
RETURNS TABLE (name text, deleted bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT t.name, weir.delete_before(t.name, t.at, t.before) FROM (VALUES
        ('request_rows_default', 'started_at', requests), ('pending_requests', 'started_at', requests),
        ('derived_requests_default', 'started_at', requests), ('session_rows', 'last_seen_at', requests),
        ('stream_rows', 'closed_at', requests), ('quarantine_rows', 'at', requests), ('session_ends', 'at', requests),
        ('elsewhere', 'at', requests), ('handed_out', 'at', requests),
        ('coverage_rows', 'minute', greatest(requests, hours)),
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
    UPDATE weir.retained SET since = greatest(since, requests), minutes_since = greatest(minutes_since, minutes),
        pruned_at = now();
END $$;

-- Makes the rollups again from the rows that are still there; older rollups stay as they are. Recorders wait meanwhile.
CREATE FUNCTION weir.rebuild_rollups() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    grain text;
    since timestamptz := (SELECT r.since FROM weir.retained r);
    begins timestamptz;
    n bigint;
BEGIN
    LOCK TABLE weir.rollup_minute, weir.rollup_hour, weir.rollup_day, weir.total_minute, weir.total_hour,
        weir.total_day, weir.error_hour IN EXCLUSIVE MODE;
    FOREACH grain IN ARRAY ARRAY['minute', 'hour', 'day'] LOOP
        begins := CASE grain WHEN 'minute' THEN greatest(since, (SELECT minutes_since FROM weir.retained))
            ELSE since END;
        EXECUTE format('DELETE FROM weir.rollup_%s WHERE at >= %L', grain, begins);
        EXECUTE format($q$
            INSERT INTO weir.rollup_%1$s
            SELECT date_trunc(%1$L, started_at, 'UTC'), service, direction, left(coalesce(method, ''), 64),
                left(coalesce(target, ''), 200), left(coalesce(client_label, ''), 64), outcome,
                coalesce(latency_bucket, -128), count(*), sum(coalesce(round(duration_ms * 1000), 0)),
                sum(coalesce(request_bytes, 0)), sum(coalesce(response_bytes, 0)), sum(coalesce(tokens_in, 0)),
                sum(coalesce(tokens_out, 0))
            FROM weir.request_rows WHERE started_at >= %2$L GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 $q$, grain, begins);
        EXECUTE format('DELETE FROM weir.total_%s WHERE at >= %L', grain, begins);
        EXECUTE format($q$
            INSERT INTO weir.total_%1$s
            SELECT at, service, direction = 'client' AND method = 'tools/call', outcome, latency_bucket, sum(requests),
                sum(duration_us), sum(request_bytes), sum(response_bytes), sum(tokens_in), sum(tokens_out)
            FROM weir.rollup_%1$s WHERE at >= %2$L GROUP BY 1, 2, 3, 4, 5 $q$, grain, begins);
    END LOOP;
    DELETE FROM weir.error_hour WHERE at >= since;
    INSERT INTO weir.error_hour
    SELECT date_trunc('hour', started_at, 'UTC'), service, left(coalesce(method, ''), 64),
        left(coalesce(target, ''), 200), left(coalesce(client_label, ''), 64), outcome, coalesce(http_status, 0),
        coalesce(error_code, 0), weir.error_group(error_message), count(*), max(started_at),
        (array_agg(request_key ORDER BY started_at DESC, request_key DESC))[1]
    FROM weir.request_rows WHERE started_at >= since AND weir.is_error(outcome) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9;
    SELECT coalesce(sum(requests), 0) INTO n FROM weir.total_day WHERE at >= since;
    RETURN n;
END $$;
