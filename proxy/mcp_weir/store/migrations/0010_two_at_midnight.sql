-- Two recorders that need the same day at once: the second was told that the table exists, and stopped for want of a schema.
CREATE OR REPLACE FUNCTION weir.attach_day(parent text, day date) RETURNS boolean
    LANGUAGE plpgsql
    SET lock_timeout TO '300ms'
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
EXCEPTION
    WHEN lock_not_available THEN
        RETURN false;
    WHEN duplicate_table THEN
        RETURN true; -- another made it while we waited: to_regclass says what was known before the wait
END $$;
