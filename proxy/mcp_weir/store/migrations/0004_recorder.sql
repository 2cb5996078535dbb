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
