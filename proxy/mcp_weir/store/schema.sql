-- What the migrations come to, in one piece: to be read. Made by `make schema`; a test holds the two equal.
CREATE SCHEMA weir;

CREATE FUNCTION weir.attach_day(parent text, day date) RETURNS boolean
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

CREATE FUNCTION weir.bucket_ms(bucket integer) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN bucket <= -128 THEN 0 ELSE power(2::double precision, (bucket + 0.5) / 8) END $$;

CREATE FUNCTION weir.bury(dead uuid) RETURNS void
    LANGUAGE sql
    AS $$
    UPDATE weir.coverage_rows SET
        stored = least(stored, greatest(seen - quarantined - weir.total(dropped - 'lost'), 0)),
        spooled = least(stored, greatest(seen - quarantined - weir.total(dropped - 'lost'), 0)) + quarantined,
        dropped = (dropped - 'lost') || CASE
            WHEN seen > stored + quarantined + weir.total(dropped - 'lost')
            THEN jsonb_build_object('lost', seen - stored - quarantined - weir.total(dropped - 'lost'))
            ELSE '{}' END
    WHERE stream = dead AND seen > 0
$$;

CREATE FUNCTION weir.delete_before(name text, at text, before timestamp with time zone) RETURNS bigint
    LANGUAGE plpgsql
    AS $$
DECLARE n bigint := 0;
BEGIN
    IF to_regclass('weir.' || name) IS NOT NULL THEN
        EXECUTE format('DELETE FROM weir.%I WHERE %I < %L', name, at, before);
        GET DIAGNOSTICS n = ROW_COUNT;
    END IF;
    RETURN n;
END $$;

CREATE FUNCTION weir.edge(at timestamp with time zone, step interval) RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT date_bin(step, at + step - interval '1 microsecond', timestamptz '1970-01-01 00:00:00+00') $$;

CREATE FUNCTION weir.end_edge(until timestamp with time zone, step interval) RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN until >= now() THEN timestamptz 'infinity'
    ELSE date_bin(step, until, timestamptz '1970-01-01 00:00:00+00') END $$;

CREATE FUNCTION weir.ensure_derived_partition(day date) RETURNS boolean
    LANGUAGE sql
    AS $$ SELECT weir.attach_day('derived_requests', day) $$;

CREATE FUNCTION weir.ensure_partition(day date) RETURNS boolean
    LANGUAGE sql
    AS $$ SELECT weir.attach_day('request_rows', day) $$;

CREATE FUNCTION weir.error_group(message text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT left(regexp_replace(regexp_replace(coalesce(message, ''),
    '"[^"]*"|''[^'']*''|`[^`]*`', '"…"', 'g'), '[0-9]+', '#', 'g'), 200) $$;

CREATE FUNCTION weir.expired_partitions(before timestamp with time zone) RETURNS SETOF text
    LANGUAGE sql STABLE
    AS $_$
    SELECT c.relname::text FROM pg_inherits i
    JOIN pg_class c ON c.oid = i.inhrelid JOIN pg_class p ON p.oid = i.inhparent
    JOIN pg_namespace n ON n.oid = p.relnamespace
    WHERE n.nspname = 'weir' AND p.relname IN ('request_rows', 'derived_requests')
        AND c.relname ~ '_[0-9]{8}$'
        AND to_date(right(c.relname, 8), 'YYYYMMDD') < (before AT TIME ZONE 'UTC')::date
    ORDER BY 1
$_$;

CREATE FUNCTION weir.facet_sql(source text, step text) RETURNS text[]
    LANGUAGE sql IMMUTABLE
    AS $_$
    SELECT ARRAY[format($sql$
        INSERT INTO weir.facet_%2$s AS f
        SELECT o.facet, o.name, date_trunc(%2$L, r.started_at, 'UTC'), r.service, c.is_call, r.outcome, count(*),
            count(*) FILTER (WHERE r.latency_bucket > -128),
            coalesce(sum(round(r.duration_ms * 1000)) FILTER (WHERE r.latency_bucket > -128), 0)::bigint,
            coalesce(sum(r.request_bytes), 0), coalesce(sum(r.response_bytes), 0), coalesce(sum(r.tokens_in), 0),
            coalesce(sum(r.tokens_out), 0)
        FROM %1$s r, LATERAL (SELECT coalesce(r.direction = 'client' AND r.method = 'tools/call', false) AS is_call) c,
            weir.facets_of(r.method, r.target, r.client_label, c.is_call) o
        GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 3, 2, 4, 5, 6
        ON CONFLICT (facet, at, name, service, is_call, outcome) DO UPDATE SET requests = f.requests + excluded.requests,
            timed = f.timed + excluded.timed, duration_us = f.duration_us + excluded.duration_us, request_bytes = f.request_bytes + excluded.request_bytes,
            response_bytes = f.response_bytes + excluded.response_bytes, tokens_in = f.tokens_in + excluded.tokens_in,
            tokens_out = f.tokens_out + excluded.tokens_out $sql$, source, step),
    format($sql$
        INSERT INTO weir.latency_%2$s AS f
        SELECT o.facet, o.name, date_trunc(%2$L, r.started_at, 'UTC'), r.service, r.latency_bucket, count(*)
        FROM %1$s r, weir.facets_of(NULL, r.target, r.client_label, true) o
        WHERE r.direction = 'client' AND r.method = 'tools/call' AND r.latency_bucket > -128 AND o.facet <> 'method'
        GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 3, 2, 4, 5
        ON CONFLICT (facet, at, name, service, latency_bucket) DO UPDATE SET calls = f.calls + excluded.calls
        $sql$, source, step)]
$_$;

CREATE TABLE weir.facet_hour (
    facet text NOT NULL,
    name text NOT NULL,
    at timestamp with time zone NOT NULL,
    service text NOT NULL,
    is_call boolean NOT NULL,
    outcome text NOT NULL,
    requests bigint NOT NULL,
    timed bigint NOT NULL,
    duration_us bigint NOT NULL,
    request_bytes bigint NOT NULL,
    response_bytes bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL
)
WITH (fillfactor='70');

CREATE FUNCTION weir.faceted(kind text, since timestamp with time zone, until timestamp with time zone) RETURNS SETOF weir.facet_hour
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT * FROM weir.facet_day
    WHERE facet = kind AND at >= weir.edge(since, '24 hours') AND at < weir.end_edge(until, '24 hours')
    UNION ALL
    SELECT * FROM weir.facet_hour
    WHERE facet = kind AND at >= weir.edge(since, '1 hour')
        AND at < least(weir.edge(since, '24 hours'), weir.end_edge(until, '1 hour'))
    UNION ALL
    SELECT * FROM weir.facet_hour
    WHERE facet = kind AND at >= greatest(weir.edge(since, '24 hours'), weir.end_edge(until, '24 hours'))
        AND at < weir.end_edge(until, '1 hour')
    UNION ALL
    SELECT kind, CASE kind WHEN 'tool' THEN target WHEN 'client' THEN client WHEN 'method' THEN method ELSE '' END, at,
        service, direction = 'client' AND method = 'tools/call', outcome, requests,
        CASE WHEN latency_bucket > -128 THEN requests ELSE 0 END,
        CASE WHEN latency_bucket > -128 THEN duration_us ELSE 0 END, request_bytes, response_bytes, tokens_in, tokens_out
    FROM weir.rollup_minute
    WHERE (at >= since AND at < least(weir.edge(since, '1 hour'), until)
        OR at >= greatest(weir.edge(since, '1 hour'), weir.end_edge(until, '1 hour')) AND at < until)
        AND kind <> 'all' AND (kind <> 'tool' OR direction = 'client' AND method = 'tools/call')
    UNION ALL
    SELECT kind, '', at, service, is_call, outcome, requests, CASE WHEN latency_bucket > -128 THEN requests ELSE 0 END,
        CASE WHEN latency_bucket > -128 THEN duration_us ELSE 0 END, request_bytes, response_bytes, tokens_in, tokens_out
    FROM weir.total_minute
    WHERE (at >= since AND at < least(weir.edge(since, '1 hour'), until)
        OR at >= greatest(weir.edge(since, '1 hour'), weir.end_edge(until, '1 hour')) AND at < until)
        AND kind = 'all'
$$;

CREATE FUNCTION weir.facets_of(method text, target text, client text, is_call boolean) RETURNS TABLE(facet text, name text)
    LANGUAGE sql IMMUTABLE ROWS 4 PARALLEL SAFE
    AS $$
    SELECT * FROM (VALUES ('all', ''), ('client', left(coalesce(client, ''), 64)), ('method', left(coalesce(method, ''), 64)),
        ('tool', CASE WHEN is_call THEN left(coalesce(target, ''), 200) END)) AS f (facet, name)
    WHERE name IS NOT NULL
$$;

CREATE FUNCTION weir.fault_of(outcome text, http_status integer, error_code bigint) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
SELECT CASE outcome
    WHEN 'tool_error' THEN 'server'
    WHEN 'no_answer' THEN 'server'
    WHEN 'interrupted' THEN 'weir'
    WHEN 'upstream_aborted' THEN 'network'
    WHEN 'rpc_error' THEN CASE
        WHEN error_code IN (-32700, -32600, -32601, -32602, -32002, -32020, -32022, -32042) THEN 'client'
        WHEN http_status BETWEEN 400 AND 499 THEN 'client' ELSE 'server' END
    WHEN 'http_error' THEN CASE
        WHEN coalesce(http_status, 0) IN (0, 502, 504) THEN 'network'
        WHEN http_status < 500 THEN 'client' ELSE 'server' END
END $$;

CREATE FUNCTION weir.first_day(since timestamp with time zone, until timestamp with time zone) RETURNS timestamp with time zone
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN until - since > interval '48 hours'
    THEN date_bin('24 hours', since, timestamptz '1970-01-01 00:00:00+00') ELSE weir.edge(since, '24 hours') END $$;

CREATE FUNCTION weir.idle_window() RETURNS interval
    LANGUAGE sql STABLE
    AS $$ SELECT coalesce((SELECT value::interval FROM weir.parameters WHERE name = 'idle_window'), interval '30 minutes') $$;

CREATE FUNCTION weir.is_error(outcome text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$ SELECT outcome IN ('tool_error', 'rpc_error', 'http_error', 'upstream_aborted', 'interrupted', 'no_answer') $$;

CREATE TABLE weir.latency_hour (
    facet text NOT NULL,
    name text NOT NULL,
    at timestamp with time zone NOT NULL,
    service text NOT NULL,
    latency_bucket smallint NOT NULL,
    calls bigint NOT NULL
)
WITH (fillfactor='70');

CREATE FUNCTION weir.latencies(kind text, since timestamp with time zone, until timestamp with time zone) RETURNS SETOF weir.latency_hour
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT * FROM weir.latency_day
    WHERE facet = kind AND at >= weir.first_day(since, until) AND at < weir.end_edge(until, '24 hours')
    UNION ALL
    SELECT * FROM weir.latency_hour
    WHERE facet = kind AND at >= weir.edge(since, '1 hour')
        AND at < least(weir.first_day(since, until), weir.end_edge(until, '1 hour'))
    UNION ALL
    SELECT * FROM weir.latency_hour
    WHERE facet = kind AND at >= greatest(weir.first_day(since, until), weir.end_edge(until, '24 hours'))
        AND at < weir.end_edge(until, '1 hour')
    UNION ALL
    SELECT kind, CASE kind WHEN 'tool' THEN target WHEN 'client' THEN client ELSE '' END, at, service, latency_bucket,
        requests
    FROM weir.rollup_minute
    WHERE (at >= since AND at < least(weir.edge(since, '1 hour'), until)
        OR at >= greatest(weir.edge(since, '1 hour'), weir.end_edge(until, '1 hour')) AND at < until)
        AND kind <> 'all' AND direction = 'client' AND method = 'tools/call' AND latency_bucket > -128
    UNION ALL
    SELECT kind, '', at, service, latency_bucket, requests
    FROM weir.total_minute
    WHERE (at >= since AND at < least(weir.edge(since, '1 hour'), until)
        OR at >= greatest(weir.edge(since, '1 hour'), weir.end_edge(until, '1 hour')) AND at < until)
        AND kind = 'all' AND is_call AND latency_bucket > -128
$$;

CREATE FUNCTION weir.layer_of(outcome text, http_status integer, message text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
SELECT CASE
    WHEN outcome IN ('upstream_aborted', 'interrupted', 'no_answer') THEN 'connection'
    WHEN outcome = 'http_error' AND (coalesce(http_status, 0) = 0 OR message LIKE 'upstream %') THEN 'connection'
    WHEN outcome = 'http_error' THEN 'http'
    WHEN outcome = 'rpc_error' THEN 'rpc'
    WHEN outcome = 'tool_error' THEN 'tool'
END $$;

CREATE FUNCTION weir.merged_clients(one text[], other text[]) RETURNS text[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$
    SELECT CASE WHEN one @> other OR cardinality(one) >= 100 THEN one
        ELSE ARRAY(SELECT DISTINCT c FROM unnest(one || other) AS c ORDER BY c LIMIT 100) END
$$;

CREATE FUNCTION weir.prune(requests timestamp with time zone, minutes timestamp with time zone, hours timestamp with time zone, ledger timestamp with time zone) RETURNS TABLE(name text, deleted bigint)
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

CREATE FUNCTION weir.rebuild_error_days(since timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
BEGIN
    LOCK TABLE weir.error_hour, weir.error_day IN EXCLUSIVE MODE; -- in the order of a recorder's transaction
    DELETE FROM weir.error_day WHERE at >= since;
    INSERT INTO weir.error_day
    SELECT date_trunc('day', at, 'UTC'), service, method, target, outcome, http_status, error_code, message,
        (array_agg(DISTINCT client ORDER BY client))[:100], sum(requests), min(at), max(last_at)
    FROM weir.error_hour WHERE at >= since GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
END $$;

CREATE FUNCTION weir.rebuild_facets(first timestamp with time zone, until timestamp with time zone) RETURNS void
    LANGUAGE plpgsql
    AS $$
DECLARE step text; statement text;
    source text := format('(SELECT * FROM weir.request_rows WHERE started_at >= %L AND started_at < %L)', first, until);
BEGIN
    -- before the rollups, in the order of a recorder's transaction
    LOCK TABLE weir.facet_hour, weir.facet_day, weir.latency_hour, weir.latency_day IN EXCLUSIVE MODE;
    FOREACH step IN ARRAY ARRAY['hour', 'day'] LOOP
        EXECUTE format('DELETE FROM weir.facet_%s WHERE at >= %L AND at < %L', step, first, until);
        EXECUTE format('DELETE FROM weir.latency_%s WHERE at >= %L AND at < %L', step, first, until);
        FOREACH statement IN ARRAY weir.facet_sql(source, step) LOOP EXECUTE statement; END LOOP;
    END LOOP;
END $$;

CREATE FUNCTION weir.rebuild_rollups() RETURNS bigint
    LANGUAGE plpgsql
    AS $_$
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
END $_$;

CREATE TABLE weir.rollup_minute (
    at timestamp with time zone NOT NULL,
    service text NOT NULL,
    direction text NOT NULL,
    method text NOT NULL,
    target text NOT NULL,
    client text NOT NULL,
    outcome text NOT NULL,
    latency_bucket smallint NOT NULL,
    requests bigint NOT NULL,
    duration_us bigint NOT NULL,
    request_bytes bigint NOT NULL,
    response_bytes bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL
)
WITH (fillfactor='70');

CREATE FUNCTION weir.rolled(since timestamp with time zone, until timestamp with time zone) RETURNS SETOF weir.rollup_minute
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT * FROM weir.rollup_day WHERE at >= weir.edge(since, '24 hours') AND at < weir.end_edge(until, '24 hours')
    UNION ALL
    SELECT * FROM weir.rollup_hour WHERE at >= weir.edge(since, '1 hour')
        AND at < least(weir.edge(since, '24 hours'), weir.end_edge(until, '1 hour'))
    UNION ALL
    SELECT * FROM weir.rollup_hour WHERE at >= greatest(weir.edge(since, '24 hours'), weir.end_edge(until, '24 hours'))
        AND at < weir.end_edge(until, '1 hour')
    UNION ALL
    SELECT * FROM weir.rollup_minute WHERE at >= since AND at < least(weir.edge(since, '1 hour'), until)
    UNION ALL
    SELECT * FROM weir.rollup_minute WHERE at >= greatest(weir.edge(since, '1 hour'), weir.end_edge(until, '1 hour'))
        AND at < until
$$;

CREATE FUNCTION weir.total(counts jsonb) RETURNS bigint
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT coalesce(sum(value::bigint), 0)::bigint FROM jsonb_each_text(counts) $$;

CREATE TABLE weir.total_minute (
    at timestamp with time zone NOT NULL,
    service text NOT NULL,
    is_call boolean NOT NULL,
    outcome text NOT NULL,
    latency_bucket smallint NOT NULL,
    requests bigint NOT NULL,
    duration_us bigint NOT NULL,
    request_bytes bigint NOT NULL,
    response_bytes bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL
)
WITH (fillfactor='70');

CREATE FUNCTION weir.totalled(since timestamp with time zone, until timestamp with time zone) RETURNS SETOF weir.total_minute
    LANGUAGE sql STABLE PARALLEL SAFE
    AS $$
    SELECT * FROM weir.total_day WHERE at >= weir.edge(since, '24 hours') AND at < weir.end_edge(until, '24 hours')
    UNION ALL
    SELECT * FROM weir.total_hour WHERE at >= weir.edge(since, '1 hour')
        AND at < least(weir.edge(since, '24 hours'), weir.end_edge(until, '1 hour'))
    UNION ALL
    SELECT * FROM weir.total_hour WHERE at >= greatest(weir.edge(since, '24 hours'), weir.end_edge(until, '24 hours'))
        AND at < weir.end_edge(until, '1 hour')
    UNION ALL
    SELECT * FROM weir.total_minute WHERE at >= since AND at < least(weir.edge(since, '1 hour'), until)
    UNION ALL
    SELECT * FROM weir.total_minute WHERE at >= greatest(weir.edge(since, '1 hour'), weir.end_edge(until, '1 hour'))
        AND at < until
$$;

CREATE TABLE weir.catalog_rows (
    service text NOT NULL,
    content_hash bytea NOT NULL,
    tool text NOT NULL,
    description text,
    schema_hash bytea,
    tokens bigint DEFAULT 0 NOT NULL,
    first_seen timestamp with time zone NOT NULL,
    last_seen timestamp with time zone NOT NULL,
    times_listed bigint DEFAULT 0 NOT NULL
);

CREATE TABLE weir.request_rows (
    request_key uuid NOT NULL,
    service text NOT NULL,
    instance text NOT NULL,
    session_key uuid,
    started_at timestamp with time zone NOT NULL,
    direction text NOT NULL,
    method text,
    target text,
    jsonrpc_id text,
    outcome text NOT NULL,
    http_method text,
    http_status integer,
    error_code bigint,
    error_message text,
    duration_ms double precision,
    first_byte_ms double precision,
    first_event_ms double precision,
    end_ms double precision,
    client_stall_ms double precision,
    overhead_us double precision,
    response_kind text,
    request_bytes bigint,
    response_bytes bigint,
    tokens_in bigint,
    tokens_out bigint,
    progress_count integer,
    operation_key uuid,
    batch_key uuid,
    args_hash bytea,
    arguments jsonb,
    result jsonb,
    flags text[],
    trace_id text,
    parent_span_id text,
    era text,
    protocol_version text,
    client_name text,
    client_version text,
    principal_key bytea,
    remote_addr inet,
    user_agent text,
    stream uuid,
    connection bigint,
    key_id text,
    client_label text,
    latency_bucket smallint,
    handle bytea,
    proxied boolean,
    recorded_xid xid8 DEFAULT pg_current_xact_id() NOT NULL
)
PARTITION BY RANGE (started_at);

COMMENT ON COLUMN weir.request_rows.tokens_in IS 'estimate: ceil(bytes of arguments / 4)';

COMMENT ON COLUMN weir.request_rows.tokens_out IS 'estimate: ceil(bytes of result / 4)';

COMMENT ON COLUMN weir.request_rows.latency_bucket IS 'index of duration_ms in an exponential histogram of base 2^(1/8) (OpenTelemetry scale 3): bucket i holds (2^(i/8), 2^((i+1)/8)] ms; -128 where there is no duration or none above 0';

COMMENT ON COLUMN weir.request_rows.handle IS 'evidence: keyed hash of the configured handle header or argument';

COMMENT ON COLUMN weir.request_rows.proxied IS 'evidence: a trusted proxy stood before us, so that one connection may have carried many clients';

CREATE VIEW weir.catalog AS
 SELECT service,
    ''::text AS instance,
    tool,
    description,
    schema_hash,
    content_hash,
    tokens,
    first_seen,
    last_seen,
    times_listed,
    ( SELECT count(*) AS count
           FROM weir.request_rows r
          WHERE ((r.service = c.service) AND (r.method = 'tools/call'::text) AND (r.target = c.tool) AND (r.started_at >= c.first_seen))) AS times_called
   FROM weir.catalog_rows c;

CREATE TABLE weir.coverage_rows (
    stream uuid NOT NULL,
    minute timestamp with time zone NOT NULL,
    service text NOT NULL,
    instance text NOT NULL,
    seen bigint DEFAULT 0 NOT NULL,
    spooled bigint DEFAULT 0 NOT NULL,
    dropped jsonb DEFAULT '{}'::jsonb NOT NULL,
    stored bigint DEFAULT 0 NOT NULL,
    quarantined bigint DEFAULT 0 NOT NULL
)
WITH (fillfactor='70');

CREATE VIEW weir.coverage AS
 SELECT c.service,
    c.instance,
    c.minute,
    (sum(GREATEST(c.seen, (f.spooled + f.dropped))))::bigint AS seen,
    (sum(c.stored))::bigint AS stored,
    (sum(((f.spooled - c.stored) - c.quarantined)))::bigint AS spooled,
    (sum(((GREATEST(c.seen, (f.spooled + f.dropped)) - f.spooled) - f.dropped)))::bigint AS open,
    (sum(f.dropped))::bigint AS dropped,
    (sum(c.quarantined))::bigint AS quarantined,
    COALESCE(( SELECT jsonb_object_agg(r.reason, r.n) AS jsonb_object_agg
           FROM ( SELECT jsonb_each_text.key AS reason,
                    sum((jsonb_each_text.value)::bigint) AS n
                   FROM (weir.coverage_rows d
                     CROSS JOIN LATERAL jsonb_each_text(d.dropped) jsonb_each_text(key, value))
                  WHERE ((d.service = c.service) AND (d.instance = c.instance) AND (d.minute = c.minute) AND (d.dropped <> '{}'::jsonb))
                  GROUP BY jsonb_each_text.key) r), '{}'::jsonb) AS reasons
   FROM (weir.coverage_rows c
     CROSS JOIN LATERAL ( SELECT GREATEST(c.spooled, (c.stored + c.quarantined)) AS spooled,
            weir.total(c.dropped) AS dropped) f)
  GROUP BY c.service, c.instance, c.minute;

CREATE TABLE weir.derived_queue (
    id bigint NOT NULL,
    scope bytea NOT NULL,
    started_at timestamp with time zone NOT NULL,
    request_key uuid NOT NULL,
    lead_key uuid NOT NULL,
    lead_at timestamp with time zone NOT NULL,
    evidence bytea,
    counts bytea
);

ALTER TABLE weir.derived_queue ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME weir.derived_queue_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE weir.derived_requests (
    request_key uuid NOT NULL,
    started_at timestamp with time zone NOT NULL,
    session_key uuid NOT NULL
)
PARTITION BY RANGE (started_at);

CREATE TABLE weir.derived_requests_default (
    request_key uuid CONSTRAINT derived_requests_request_key_not_null NOT NULL,
    started_at timestamp with time zone CONSTRAINT derived_requests_started_at_not_null NOT NULL,
    session_key uuid CONSTRAINT derived_requests_session_key_not_null NOT NULL
);

CREATE TABLE weir.derived_scopes (
    scope bytea NOT NULL,
    frontier timestamp with time zone NOT NULL,
    state bytea NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE weir.elsewhere (
    stream uuid NOT NULL,
    exchange bigint NOT NULL,
    seq integer NOT NULL,
    service text NOT NULL,
    session_key uuid NOT NULL,
    direction text NOT NULL,
    jsonrpc_id text NOT NULL,
    at timestamp with time zone NOT NULL,
    said bytea NOT NULL
);

CREATE TABLE weir.error_day (
    at timestamp with time zone NOT NULL,
    service text NOT NULL,
    method text NOT NULL,
    target text NOT NULL,
    outcome text NOT NULL,
    http_status integer NOT NULL,
    error_code bigint NOT NULL,
    message text NOT NULL,
    clients text[] NOT NULL,
    requests bigint NOT NULL,
    first_at timestamp with time zone NOT NULL,
    last_at timestamp with time zone NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE weir.error_hour (
    at timestamp with time zone NOT NULL,
    service text NOT NULL,
    method text NOT NULL,
    target text NOT NULL,
    client text NOT NULL,
    outcome text NOT NULL,
    http_status integer NOT NULL,
    error_code bigint NOT NULL,
    message text NOT NULL,
    requests bigint NOT NULL,
    last_at timestamp with time zone NOT NULL,
    last_request_key uuid NOT NULL
);

CREATE TABLE weir.facet_day (
    facet text CONSTRAINT facet_hour_facet_not_null NOT NULL,
    name text CONSTRAINT facet_hour_name_not_null NOT NULL,
    at timestamp with time zone CONSTRAINT facet_hour_at_not_null NOT NULL,
    service text CONSTRAINT facet_hour_service_not_null NOT NULL,
    is_call boolean CONSTRAINT facet_hour_is_call_not_null NOT NULL,
    outcome text CONSTRAINT facet_hour_outcome_not_null NOT NULL,
    requests bigint CONSTRAINT facet_hour_requests_not_null NOT NULL,
    timed bigint CONSTRAINT facet_hour_timed_not_null NOT NULL,
    duration_us bigint CONSTRAINT facet_hour_duration_us_not_null NOT NULL,
    request_bytes bigint CONSTRAINT facet_hour_request_bytes_not_null NOT NULL,
    response_bytes bigint CONSTRAINT facet_hour_response_bytes_not_null NOT NULL,
    tokens_in bigint CONSTRAINT facet_hour_tokens_in_not_null NOT NULL,
    tokens_out bigint CONSTRAINT facet_hour_tokens_out_not_null NOT NULL
)
WITH (fillfactor='70');

CREATE VIEW weir.gaps AS
 WITH lossy AS (
         SELECT coverage_rows.service,
            coverage_rows.instance,
            coverage_rows.minute,
            jsonb_each_text.key AS reason,
            sum((jsonb_each_text.value)::bigint) AS n,
            (coverage_rows.minute - ('00:01:00'::interval * (dense_rank() OVER (PARTITION BY coverage_rows.service, coverage_rows.instance ORDER BY coverage_rows.minute))::double precision)) AS stretch
           FROM (weir.coverage_rows
             CROSS JOIN LATERAL jsonb_each_text(coverage_rows.dropped) jsonb_each_text(key, value))
          WHERE (coverage_rows.dropped <> '{}'::jsonb)
          GROUP BY coverage_rows.service, coverage_rows.instance, coverage_rows.minute, jsonb_each_text.key
        ), reasons AS (
         SELECT lossy.service,
            lossy.instance,
            lossy.stretch,
            lossy.reason,
            min(lossy.minute) AS first,
            max(lossy.minute) AS last,
            (sum(lossy.n))::bigint AS n
           FROM lossy
          GROUP BY lossy.service, lossy.instance, lossy.stretch, lossy.reason
        )
 SELECT service,
    instance,
    min(first) AS started_at,
    (max(last) + '00:01:00'::interval) AS ended_at,
    (sum(n))::bigint AS dropped,
    jsonb_object_agg(reason, n) AS reasons
   FROM reasons
  GROUP BY service, instance, stretch;

CREATE TABLE weir.handed_out (
    request_key uuid NOT NULL,
    hash bytea NOT NULL,
    operation_key uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    claimed_by uuid
);

CREATE TABLE weir.latency_day (
    facet text CONSTRAINT latency_hour_facet_not_null NOT NULL,
    name text CONSTRAINT latency_hour_name_not_null NOT NULL,
    at timestamp with time zone CONSTRAINT latency_hour_at_not_null NOT NULL,
    service text CONSTRAINT latency_hour_service_not_null NOT NULL,
    latency_bucket smallint CONSTRAINT latency_hour_latency_bucket_not_null NOT NULL,
    calls bigint CONSTRAINT latency_hour_calls_not_null NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE weir.open_exchanges (
    stream uuid NOT NULL,
    exchange bigint NOT NULL,
    state bytea NOT NULL,
    recorder uuid,
    service text,
    session_key uuid,
    event_ids bytea[] DEFAULT '{}'::bytea[] NOT NULL
);

CREATE TABLE weir.pending_requests (
    request_key uuid CONSTRAINT request_rows_request_key_not_null NOT NULL,
    service text CONSTRAINT request_rows_service_not_null NOT NULL,
    instance text CONSTRAINT request_rows_instance_not_null NOT NULL,
    session_key uuid,
    started_at timestamp with time zone CONSTRAINT request_rows_started_at_not_null NOT NULL,
    direction text CONSTRAINT request_rows_direction_not_null NOT NULL,
    method text,
    target text,
    jsonrpc_id text,
    outcome text CONSTRAINT request_rows_outcome_not_null NOT NULL,
    http_method text,
    http_status integer,
    error_code bigint,
    error_message text,
    duration_ms double precision,
    first_byte_ms double precision,
    first_event_ms double precision,
    end_ms double precision,
    client_stall_ms double precision,
    overhead_us double precision,
    response_kind text,
    request_bytes bigint,
    response_bytes bigint,
    tokens_in bigint,
    tokens_out bigint,
    progress_count integer,
    operation_key uuid,
    batch_key uuid,
    args_hash bytea,
    arguments jsonb,
    result jsonb,
    flags text[],
    trace_id text,
    parent_span_id text,
    era text,
    protocol_version text,
    client_name text,
    client_version text,
    principal_key bytea,
    remote_addr inet,
    user_agent text,
    stream uuid,
    connection bigint,
    key_id text,
    exchange bigint NOT NULL,
    state bytea,
    waiting boolean DEFAULT false NOT NULL,
    client_label text,
    latency_bucket smallint,
    handle bytea,
    proxied boolean
);

CREATE VIEW weir.requests AS
 SELECT r.service,
    r.instance,
    r.request_key,
    r.session_key,
    r.started_at,
    r.direction,
    r.method,
    r.target,
    r.jsonrpc_id,
    r.outcome,
    r.http_method,
    r.http_status,
    r.error_code,
    r.error_message,
    r.duration_ms,
    r.first_byte_ms,
    r.first_event_ms,
    r.end_ms,
    r.client_stall_ms,
    r.overhead_us,
    r.response_kind,
    r.request_bytes,
    r.response_bytes,
    r.tokens_in,
    r.tokens_out,
    r.progress_count,
    r.operation_key,
    r.batch_key,
    r.args_hash,
    r.arguments,
    r.result,
    r.flags,
    r.trace_id,
    r.parent_span_id,
    r.era,
    r.protocol_version,
    r.client_name,
    r.client_version,
    r.client_label,
    r.principal_key,
    r.remote_addr,
    r.user_agent
   FROM weir.request_rows r
  WHERE (r.session_key IS NOT NULL)
UNION ALL
 SELECT r.service,
    r.instance,
    r.request_key,
    d.session_key,
    r.started_at,
    r.direction,
    r.method,
    r.target,
    r.jsonrpc_id,
    r.outcome,
    r.http_method,
    r.http_status,
    r.error_code,
    r.error_message,
    r.duration_ms,
    r.first_byte_ms,
    r.first_event_ms,
    r.end_ms,
    r.client_stall_ms,
    r.overhead_us,
    r.response_kind,
    r.request_bytes,
    r.response_bytes,
    r.tokens_in,
    r.tokens_out,
    r.progress_count,
    r.operation_key,
    r.batch_key,
    r.args_hash,
    r.arguments,
    r.result,
    r.flags,
    r.trace_id,
    r.parent_span_id,
    r.era,
    r.protocol_version,
    r.client_name,
    r.client_version,
    r.client_label,
    r.principal_key,
    r.remote_addr,
    r.user_agent
   FROM (weir.request_rows r
     LEFT JOIN weir.derived_requests d ON (((d.request_key = r.request_key) AND (d.started_at = r.started_at))))
  WHERE (r.session_key IS NULL)
UNION ALL
 SELECT p.service,
    p.instance,
    p.request_key,
    COALESCE(p.session_key, d.session_key) AS session_key,
    p.started_at,
    p.direction,
    p.method,
    p.target,
    p.jsonrpc_id,
    'running'::text AS outcome,
    p.http_method,
    p.http_status,
    p.error_code,
    p.error_message,
    NULL::double precision AS duration_ms,
    p.first_byte_ms,
    p.first_event_ms,
    NULL::double precision AS end_ms,
    NULL::double precision AS client_stall_ms,
    NULL::double precision AS overhead_us,
    p.response_kind,
    p.request_bytes,
    p.response_bytes,
    p.tokens_in,
    p.tokens_out,
    p.progress_count,
    p.operation_key,
    p.batch_key,
    p.args_hash,
    p.arguments,
    p.result,
    p.flags,
    p.trace_id,
    p.parent_span_id,
    p.era,
    p.protocol_version,
    p.client_name,
    p.client_version,
    p.client_label,
    p.principal_key,
    p.remote_addr,
    p.user_agent
   FROM (weir.pending_requests p
     LEFT JOIN weir.derived_requests d ON (((d.request_key = p.request_key) AND (d.started_at = p.started_at))));

CREATE TABLE weir.task_ends (
    hash bytea NOT NULL,
    at timestamp with time zone NOT NULL,
    outcome text NOT NULL,
    operation_key uuid,
    session_key uuid,
    principal_key bytea
);

CREATE VIEW weir.operations AS
 SELECT r.service,
    r.operation_key,
    (array_agg(r.session_key ORDER BY r.started_at))[1] AS session_key,
    (array_agg(r.method ORDER BY r.started_at))[1] AS method,
    (array_agg(r.target ORDER BY r.started_at))[1] AS target,
    min(r.started_at) AS started_at,
    GREATEST(max((r.started_at + (COALESCE(r.duration_ms, (0)::double precision) * '00:00:00.001'::interval))), max(t.at)) AS ended_at,
    COALESCE((array_agg(r.outcome ORDER BY r.started_at DESC) FILTER (WHERE (r.method = 'tasks/result'::text)))[1], (array_agg(t.outcome))[1], (array_agg(r.outcome ORDER BY r.started_at DESC))[1]) AS outcome,
    count(*) AS rounds,
    sum(r.duration_ms) AS server_ms,
    (((EXTRACT(epoch FROM (GREATEST(max((r.started_at + (COALESCE(r.duration_ms, (0)::double precision) * '00:00:00.001'::interval))), max(t.at)) - min(r.started_at))) * (1000)::numeric))::double precision - COALESCE(sum(r.duration_ms), (0)::double precision)) AS client_ms
   FROM (weir.requests r
     LEFT JOIN weir.task_ends t ON ((t.operation_key = r.operation_key)))
  WHERE (r.operation_key IN ( SELECT request_rows.operation_key
           FROM weir.request_rows
          WHERE (request_rows.operation_key <> request_rows.request_key)
        UNION
         SELECT task_ends.operation_key
           FROM weir.task_ends
          WHERE (task_ends.operation_key IS NOT NULL)))
  GROUP BY r.service, r.operation_key;

CREATE TABLE weir.parameters (
    name text NOT NULL,
    value text NOT NULL
);

CREATE TABLE weir.quarantine_rows (
    id bigint NOT NULL,
    service text,
    instance text,
    at timestamp with time zone DEFAULT now() NOT NULL,
    raw bytea NOT NULL,
    reason text NOT NULL
);

CREATE VIEW weir.quarantine AS
 SELECT service,
    instance,
    id,
    at,
    raw,
    reason
   FROM weir.quarantine_rows;

ALTER TABLE weir.quarantine_rows ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME weir.quarantine_rows_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE weir.recorders (
    recorder uuid NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE weir.request_rows_default (
    request_key uuid CONSTRAINT request_rows_request_key_not_null NOT NULL,
    service text CONSTRAINT request_rows_service_not_null NOT NULL,
    instance text CONSTRAINT request_rows_instance_not_null NOT NULL,
    session_key uuid,
    started_at timestamp with time zone CONSTRAINT request_rows_started_at_not_null NOT NULL,
    direction text CONSTRAINT request_rows_direction_not_null NOT NULL,
    method text,
    target text,
    jsonrpc_id text,
    outcome text CONSTRAINT request_rows_outcome_not_null NOT NULL,
    http_method text,
    http_status integer,
    error_code bigint,
    error_message text,
    duration_ms double precision,
    first_byte_ms double precision,
    first_event_ms double precision,
    end_ms double precision,
    client_stall_ms double precision,
    overhead_us double precision,
    response_kind text,
    request_bytes bigint,
    response_bytes bigint,
    tokens_in bigint,
    tokens_out bigint,
    progress_count integer,
    operation_key uuid,
    batch_key uuid,
    args_hash bytea,
    arguments jsonb,
    result jsonb,
    flags text[],
    trace_id text,
    parent_span_id text,
    era text,
    protocol_version text,
    client_name text,
    client_version text,
    principal_key bytea,
    remote_addr inet,
    user_agent text,
    stream uuid,
    connection bigint,
    key_id text,
    client_label text,
    latency_bucket smallint,
    handle bytea,
    proxied boolean,
    recorded_xid xid8 DEFAULT pg_current_xact_id() CONSTRAINT request_rows_recorded_xid_not_null NOT NULL
);

CREATE TABLE weir.retained (
    one boolean DEFAULT true NOT NULL,
    since timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    pruned_at timestamp with time zone,
    minutes_since timestamp with time zone DEFAULT '-infinity'::timestamp with time zone NOT NULL,
    CONSTRAINT retained_one_check CHECK (one)
);

CREATE TABLE weir.rollup_day (
    at timestamp with time zone CONSTRAINT rollup_minute_at_not_null NOT NULL,
    service text CONSTRAINT rollup_minute_service_not_null NOT NULL,
    direction text CONSTRAINT rollup_minute_direction_not_null NOT NULL,
    method text CONSTRAINT rollup_minute_method_not_null NOT NULL,
    target text CONSTRAINT rollup_minute_target_not_null NOT NULL,
    client text CONSTRAINT rollup_minute_client_not_null NOT NULL,
    outcome text CONSTRAINT rollup_minute_outcome_not_null NOT NULL,
    latency_bucket smallint CONSTRAINT rollup_minute_latency_bucket_not_null NOT NULL,
    requests bigint CONSTRAINT rollup_minute_requests_not_null NOT NULL,
    duration_us bigint CONSTRAINT rollup_minute_duration_us_not_null NOT NULL,
    request_bytes bigint CONSTRAINT rollup_minute_request_bytes_not_null NOT NULL,
    response_bytes bigint CONSTRAINT rollup_minute_response_bytes_not_null NOT NULL,
    tokens_in bigint CONSTRAINT rollup_minute_tokens_in_not_null NOT NULL,
    tokens_out bigint CONSTRAINT rollup_minute_tokens_out_not_null NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE weir.rollup_hour (
    at timestamp with time zone CONSTRAINT rollup_minute_at_not_null NOT NULL,
    service text CONSTRAINT rollup_minute_service_not_null NOT NULL,
    direction text CONSTRAINT rollup_minute_direction_not_null NOT NULL,
    method text CONSTRAINT rollup_minute_method_not_null NOT NULL,
    target text CONSTRAINT rollup_minute_target_not_null NOT NULL,
    client text CONSTRAINT rollup_minute_client_not_null NOT NULL,
    outcome text CONSTRAINT rollup_minute_outcome_not_null NOT NULL,
    latency_bucket smallint CONSTRAINT rollup_minute_latency_bucket_not_null NOT NULL,
    requests bigint CONSTRAINT rollup_minute_requests_not_null NOT NULL,
    duration_us bigint CONSTRAINT rollup_minute_duration_us_not_null NOT NULL,
    request_bytes bigint CONSTRAINT rollup_minute_request_bytes_not_null NOT NULL,
    response_bytes bigint CONSTRAINT rollup_minute_response_bytes_not_null NOT NULL,
    tokens_in bigint CONSTRAINT rollup_minute_tokens_in_not_null NOT NULL,
    tokens_out bigint CONSTRAINT rollup_minute_tokens_out_not_null NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE weir.schema_version (
    version integer NOT NULL,
    applied_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE weir.segments (
    segment uuid NOT NULL,
    stream uuid NOT NULL,
    offset_bytes bigint NOT NULL,
    done boolean DEFAULT false NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE weir.session_ends (
    session_key uuid NOT NULL,
    reason text NOT NULL,
    at timestamp with time zone NOT NULL,
    closed_by text,
    stream uuid,
    connection bigint
);

CREATE TABLE weir.session_rows (
    session_key uuid NOT NULL,
    service text NOT NULL,
    instance text NOT NULL,
    source text NOT NULL,
    confidence real NOT NULL,
    era text DEFAULT 'unknown'::text NOT NULL,
    session_id text,
    client_name text,
    client_version text,
    client_label text,
    client_capabilities jsonb,
    user_agent text,
    protocol_version text,
    server_name text,
    server_version text,
    principal text,
    principal_key bytea,
    remote_addr inet,
    started_at timestamp with time zone NOT NULL,
    last_seen_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    end_reason text,
    previous_session_key uuid,
    request_count bigint DEFAULT 0 NOT NULL,
    tool_call_count bigint DEFAULT 0 NOT NULL,
    error_count bigint DEFAULT 0 NOT NULL,
    request_bytes bigint DEFAULT 0 NOT NULL,
    response_bytes bigint DEFAULT 0 NOT NULL,
    tokens_in bigint DEFAULT 0 NOT NULL,
    tokens_out bigint DEFAULT 0 NOT NULL,
    identity_at timestamp with time zone,
    identity_by uuid,
    seen_by uuid,
    begun_stream uuid,
    begun_connection bigint,
    call_count bigint DEFAULT 0 NOT NULL,
    evidence text,
    provisional boolean DEFAULT false NOT NULL
)
WITH (fillfactor='70');

COMMENT ON COLUMN weir.session_rows.confidence IS 'measured share of request pairs in such sessions that truly belong together; see docs/sessions.md';

COMMENT ON COLUMN weir.session_rows.call_count IS 'tools/call, prompts/get, resources/read and completion/complete: a session without any is a ghost';

COMMENT ON COLUMN weir.session_rows.evidence IS 'derived sessions: the weakest evidence that joined a request to it';

CREATE TABLE weir.stream_rows (
    stream_key uuid NOT NULL,
    service text NOT NULL,
    instance text NOT NULL,
    session_key uuid,
    kind text NOT NULL,
    opened_at timestamp with time zone NOT NULL,
    closed_at timestamp with time zone,
    closed_by text,
    events bigint DEFAULT 0 NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL,
    resumed_from uuid
);

CREATE VIEW weir.sessions AS
 SELECT s.service,
    s.instance,
    s.session_key,
    s.source,
    s.confidence,
    s.era,
    s.session_id,
    s.client_name,
    s.client_version,
    s.client_label,
    s.client_capabilities,
    s.user_agent,
    s.protocol_version,
    s.server_name,
    s.server_version,
    s.principal,
    s.principal_key,
    s.remote_addr,
    s.started_at,
    s.last_seen_at,
        CASE
            WHEN e.said THEN s.ended_at
            WHEN e.idle THEN s.last_seen_at
            ELSE NULL::timestamp with time zone
        END AS ended_at,
        CASE
            WHEN (e.said OR e.idle) THEN 'ended'::text
            WHEN (s.last_seen_at > (now() - '00:05:00'::interval)) THEN 'active'::text
            ELSE 'idle'::text
        END AS status,
        CASE
            WHEN e.said THEN s.end_reason
            WHEN e.idle THEN 'idle_timeout'::text
            ELSE NULL::text
        END AS end_reason,
    s.previous_session_key,
    s.request_count,
    s.tool_call_count,
    s.error_count,
    s.request_bytes,
    s.response_bytes,
    s.tokens_in,
    s.tokens_out,
    s.call_count,
    ((s.call_count = 0) AND (e.said OR (s.last_seen_at < (now() - '00:05:00'::interval)))) AS ghost,
    s.evidence,
    s.provisional
   FROM (weir.session_rows s
     CROSS JOIN LATERAL ( SELECT ((s.ended_at IS NOT NULL) AND ((s.end_reason = 'transport_closed'::text) OR (s.last_seen_at <= s.ended_at))) AS said,
            ((s.last_seen_at < (now() - weir.idle_window())) AND (NOT (EXISTS ( SELECT 1
                   FROM weir.stream_rows t
                  WHERE ((t.session_key = s.session_key) AND (t.closed_at IS NULL) AND (t.closed_by IS NULL)))))) AS idle) e);

CREATE TABLE weir.stream_marks (
    stream uuid NOT NULL,
    service text NOT NULL,
    boot text DEFAULT ''::text NOT NULL,
    read_to timestamp with time zone NOT NULL,
    done boolean DEFAULT false NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE VIEW weir.streams AS
 SELECT service,
    instance,
    stream_key,
    session_key,
    kind,
    opened_at,
    closed_at,
    closed_by,
    events,
    bytes,
    resumed_from
   FROM weir.stream_rows;

CREATE TABLE weir.tombstones (
    id bigint NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    session_key uuid,
    principal_key bytea,
    CONSTRAINT tombstones_check CHECK ((num_nonnulls(session_key, principal_key) = 1))
);

ALTER TABLE weir.tombstones ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME weir.tombstones_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE weir.total_day (
    at timestamp with time zone CONSTRAINT total_minute_at_not_null NOT NULL,
    service text CONSTRAINT total_minute_service_not_null NOT NULL,
    is_call boolean CONSTRAINT total_minute_is_call_not_null NOT NULL,
    outcome text CONSTRAINT total_minute_outcome_not_null NOT NULL,
    latency_bucket smallint CONSTRAINT total_minute_latency_bucket_not_null NOT NULL,
    requests bigint CONSTRAINT total_minute_requests_not_null NOT NULL,
    duration_us bigint CONSTRAINT total_minute_duration_us_not_null NOT NULL,
    request_bytes bigint CONSTRAINT total_minute_request_bytes_not_null NOT NULL,
    response_bytes bigint CONSTRAINT total_minute_response_bytes_not_null NOT NULL,
    tokens_in bigint CONSTRAINT total_minute_tokens_in_not_null NOT NULL,
    tokens_out bigint CONSTRAINT total_minute_tokens_out_not_null NOT NULL
)
WITH (fillfactor='70');

CREATE TABLE weir.total_hour (
    at timestamp with time zone CONSTRAINT total_minute_at_not_null NOT NULL,
    service text CONSTRAINT total_minute_service_not_null NOT NULL,
    is_call boolean CONSTRAINT total_minute_is_call_not_null NOT NULL,
    outcome text CONSTRAINT total_minute_outcome_not_null NOT NULL,
    latency_bucket smallint CONSTRAINT total_minute_latency_bucket_not_null NOT NULL,
    requests bigint CONSTRAINT total_minute_requests_not_null NOT NULL,
    duration_us bigint CONSTRAINT total_minute_duration_us_not_null NOT NULL,
    request_bytes bigint CONSTRAINT total_minute_request_bytes_not_null NOT NULL,
    response_bytes bigint CONSTRAINT total_minute_response_bytes_not_null NOT NULL,
    tokens_in bigint CONSTRAINT total_minute_tokens_in_not_null NOT NULL,
    tokens_out bigint CONSTRAINT total_minute_tokens_out_not_null NOT NULL
)
WITH (fillfactor='70');

ALTER TABLE ONLY weir.derived_requests ATTACH PARTITION weir.derived_requests_default DEFAULT;

ALTER TABLE ONLY weir.request_rows ATTACH PARTITION weir.request_rows_default DEFAULT;

ALTER TABLE ONLY weir.catalog_rows
    ADD CONSTRAINT catalog_rows_pkey PRIMARY KEY (service, content_hash);

ALTER TABLE ONLY weir.coverage_rows
    ADD CONSTRAINT coverage_rows_pkey PRIMARY KEY (stream, minute);

ALTER TABLE ONLY weir.derived_queue
    ADD CONSTRAINT derived_queue_pkey PRIMARY KEY (id);

ALTER TABLE ONLY weir.derived_requests
    ADD CONSTRAINT derived_requests_pkey PRIMARY KEY (request_key, started_at);

ALTER TABLE ONLY weir.derived_requests_default
    ADD CONSTRAINT derived_requests_default_pkey PRIMARY KEY (request_key, started_at);

ALTER TABLE ONLY weir.derived_scopes
    ADD CONSTRAINT derived_scopes_pkey PRIMARY KEY (scope);

ALTER TABLE ONLY weir.elsewhere
    ADD CONSTRAINT elsewhere_pkey PRIMARY KEY (stream, exchange, seq);

ALTER TABLE ONLY weir.error_day
    ADD CONSTRAINT error_day_pkey PRIMARY KEY (at, service, method, target, outcome, http_status, error_code, message);

ALTER TABLE ONLY weir.error_hour
    ADD CONSTRAINT error_hour_pkey PRIMARY KEY (at, service, method, target, client, outcome, http_status, error_code, message);

ALTER TABLE ONLY weir.facet_day
    ADD CONSTRAINT facet_day_pkey PRIMARY KEY (facet, at, name, service, is_call, outcome);

ALTER TABLE ONLY weir.facet_hour
    ADD CONSTRAINT facet_hour_pkey PRIMARY KEY (facet, at, name, service, is_call, outcome);

ALTER TABLE ONLY weir.handed_out
    ADD CONSTRAINT handed_out_pkey PRIMARY KEY (hash, request_key);

ALTER TABLE ONLY weir.latency_day
    ADD CONSTRAINT latency_day_pkey PRIMARY KEY (facet, at, name, service, latency_bucket);

ALTER TABLE ONLY weir.latency_hour
    ADD CONSTRAINT latency_hour_pkey PRIMARY KEY (facet, at, name, service, latency_bucket);

ALTER TABLE ONLY weir.open_exchanges
    ADD CONSTRAINT open_exchanges_pkey PRIMARY KEY (stream, exchange);

ALTER TABLE ONLY weir.parameters
    ADD CONSTRAINT parameters_pkey PRIMARY KEY (name);

ALTER TABLE ONLY weir.pending_requests
    ADD CONSTRAINT pending_requests_pkey PRIMARY KEY (request_key);

ALTER TABLE ONLY weir.quarantine_rows
    ADD CONSTRAINT quarantine_rows_pkey PRIMARY KEY (id);

ALTER TABLE ONLY weir.recorders
    ADD CONSTRAINT recorders_pkey PRIMARY KEY (recorder);

ALTER TABLE ONLY weir.request_rows
    ADD CONSTRAINT request_rows_pkey PRIMARY KEY (request_key, started_at);

ALTER TABLE ONLY weir.request_rows_default
    ADD CONSTRAINT request_rows_default_pkey PRIMARY KEY (request_key, started_at);

ALTER TABLE ONLY weir.retained
    ADD CONSTRAINT retained_pkey PRIMARY KEY (one);

ALTER TABLE ONLY weir.rollup_day
    ADD CONSTRAINT rollup_day_pkey PRIMARY KEY (at, service, direction, method, target, client, outcome, latency_bucket);

ALTER TABLE ONLY weir.rollup_hour
    ADD CONSTRAINT rollup_hour_pkey PRIMARY KEY (at, service, direction, method, target, client, outcome, latency_bucket);

ALTER TABLE ONLY weir.rollup_minute
    ADD CONSTRAINT rollup_minute_pkey PRIMARY KEY (at, service, direction, method, target, client, outcome, latency_bucket);

ALTER TABLE ONLY weir.schema_version
    ADD CONSTRAINT schema_version_pkey PRIMARY KEY (version);

ALTER TABLE ONLY weir.segments
    ADD CONSTRAINT segments_pkey PRIMARY KEY (segment);

ALTER TABLE ONLY weir.session_ends
    ADD CONSTRAINT session_ends_pkey PRIMARY KEY (session_key, reason);

ALTER TABLE ONLY weir.session_rows
    ADD CONSTRAINT session_rows_pkey PRIMARY KEY (session_key);

ALTER TABLE ONLY weir.stream_marks
    ADD CONSTRAINT stream_marks_pkey PRIMARY KEY (stream);

ALTER TABLE ONLY weir.stream_rows
    ADD CONSTRAINT stream_rows_pkey PRIMARY KEY (stream_key);

ALTER TABLE ONLY weir.task_ends
    ADD CONSTRAINT task_ends_pkey PRIMARY KEY (hash);

ALTER TABLE ONLY weir.tombstones
    ADD CONSTRAINT tombstones_pkey PRIMARY KEY (id);

ALTER TABLE ONLY weir.total_day
    ADD CONSTRAINT total_day_pkey PRIMARY KEY (at, service, is_call, outcome, latency_bucket);

ALTER TABLE ONLY weir.total_hour
    ADD CONSTRAINT total_hour_pkey PRIMARY KEY (at, service, is_call, outcome, latency_bucket);

ALTER TABLE ONLY weir.total_minute
    ADD CONSTRAINT total_minute_pkey PRIMARY KEY (at, service, is_call, outcome, latency_bucket);

CREATE INDEX coverage_rows_dropped ON weir.coverage_rows USING btree (minute) WHERE (dropped <> '{}'::jsonb);

CREATE INDEX coverage_rows_minute ON weir.coverage_rows USING btree (minute);

CREATE INDEX derived_queue_at ON weir.derived_queue USING btree (started_at);

CREATE INDEX derived_queue_scope ON weir.derived_queue USING btree (scope, started_at);

CREATE INDEX derived_requests_session ON ONLY weir.derived_requests USING btree (session_key, started_at);

CREATE INDEX derived_requests_default_session_key_started_at_idx ON weir.derived_requests_default USING btree (session_key, started_at);

CREATE INDEX derived_scopes_updated ON weir.derived_scopes USING btree (updated_at);

CREATE INDEX elsewhere_asked ON weir.elsewhere USING btree (session_key, direction, jsonrpc_id);

CREATE INDEX elsewhere_at ON weir.elsewhere USING btree (at);

CREATE INDEX facet_day_name ON weir.facet_day USING btree (facet, name, at);

CREATE INDEX facet_hour_name ON weir.facet_hour USING btree (facet, name, at);

CREATE INDEX handed_out_at ON weir.handed_out USING btree (at);

CREATE INDEX latency_day_name ON weir.latency_day USING btree (facet, name, at);

CREATE INDEX latency_hour_name ON weir.latency_hour USING btree (facet, name, at);

CREATE INDEX open_exchanges_recorder ON weir.open_exchanges USING btree (recorder);

CREATE INDEX open_exchanges_session ON weir.open_exchanges USING btree (session_key) WHERE (event_ids <> '{}'::bytea[]);

CREATE INDEX open_exchanges_stream ON weir.open_exchanges USING btree (stream);

CREATE INDEX pending_requests_exchange ON weir.pending_requests USING btree (stream, exchange);

CREATE INDEX pending_requests_session ON weir.pending_requests USING btree (session_key, direction, jsonrpc_id) WHERE (session_key IS NOT NULL);

CREATE INDEX quarantine_rows_at ON weir.quarantine_rows USING btree (at);

CREATE INDEX request_rows_rounds ON ONLY weir.request_rows USING btree (operation_key) WHERE (operation_key <> request_key);

CREATE INDEX request_rows_default_operation_key_idx ON weir.request_rows_default USING btree (operation_key) WHERE (operation_key <> request_key);

CREATE INDEX request_rows_recorded ON ONLY weir.request_rows USING btree (recorded_xid);

CREATE INDEX request_rows_default_recorded_xid_idx ON weir.request_rows_default USING btree (recorded_xid);

CREATE INDEX request_rows_session ON ONLY weir.request_rows USING btree (session_key, started_at);

CREATE INDEX request_rows_default_session_key_started_at_idx ON weir.request_rows_default USING btree (session_key, started_at);

CREATE INDEX request_rows_started_at ON ONLY weir.request_rows USING btree (started_at);

CREATE INDEX request_rows_default_started_at_idx ON weir.request_rows_default USING btree (started_at);

CREATE INDEX request_rows_errors ON ONLY weir.request_rows USING btree (started_at) WHERE weir.is_error(outcome);

CREATE INDEX request_rows_default_started_at_idx1 ON weir.request_rows_default USING btree (started_at) WHERE weir.is_error(outcome);

CREATE INDEX request_rows_slowest ON ONLY weir.request_rows USING btree (target, duration_ms) WHERE (method = 'tools/call'::text);

CREATE INDEX request_rows_default_target_duration_ms_idx ON weir.request_rows_default USING btree (target, duration_ms) WHERE (method = 'tools/call'::text);

CREATE INDEX request_rows_target ON ONLY weir.request_rows USING btree (target, started_at) WHERE (method = 'tools/call'::text);

CREATE INDEX request_rows_default_target_started_at_idx ON weir.request_rows_default USING btree (target, started_at) WHERE (method = 'tools/call'::text);

CREATE INDEX rollup_day_target ON weir.rollup_day USING btree (target, at);

CREATE INDEX rollup_hour_target ON weir.rollup_hour USING btree (target, at);

CREATE INDEX session_ends_at ON weir.session_ends USING btree (at);

CREATE INDEX session_rows_begun ON weir.session_rows USING btree (service, started_at) WHERE (source = ANY (ARRAY['header'::text, 'endpoint'::text]));

CREATE INDEX session_rows_last_seen ON weir.session_rows USING btree (last_seen_at);

CREATE INDEX session_rows_previous ON weir.session_rows USING btree (previous_session_key) WHERE (previous_session_key IS NOT NULL);

CREATE INDEX session_rows_principal ON weir.session_rows USING btree (principal_key, last_seen_at) WHERE (principal_key IS NOT NULL);

CREATE INDEX session_rows_service ON weir.session_rows USING btree (service, last_seen_at);

CREATE INDEX session_rows_started ON weir.session_rows USING btree (started_at);

CREATE INDEX stream_marks_live ON weir.stream_marks USING btree (updated_at) WHERE (NOT done);

CREATE INDEX stream_rows_open ON weir.stream_rows USING btree (session_key) WHERE (closed_at IS NULL);

CREATE INDEX stream_rows_opened ON weir.stream_rows USING btree (opened_at);

CREATE INDEX stream_rows_session ON weir.stream_rows USING btree (session_key);

CREATE INDEX task_ends_at ON weir.task_ends USING btree (at);

CREATE INDEX task_ends_operation ON weir.task_ends USING btree (operation_key);

CREATE INDEX task_ends_session ON weir.task_ends USING btree (session_key);

ALTER INDEX weir.derived_requests_pkey ATTACH PARTITION weir.derived_requests_default_pkey;

ALTER INDEX weir.derived_requests_session ATTACH PARTITION weir.derived_requests_default_session_key_started_at_idx;

ALTER INDEX weir.request_rows_rounds ATTACH PARTITION weir.request_rows_default_operation_key_idx;

ALTER INDEX weir.request_rows_pkey ATTACH PARTITION weir.request_rows_default_pkey;

ALTER INDEX weir.request_rows_recorded ATTACH PARTITION weir.request_rows_default_recorded_xid_idx;

ALTER INDEX weir.request_rows_session ATTACH PARTITION weir.request_rows_default_session_key_started_at_idx;

ALTER INDEX weir.request_rows_started_at ATTACH PARTITION weir.request_rows_default_started_at_idx;

ALTER INDEX weir.request_rows_errors ATTACH PARTITION weir.request_rows_default_started_at_idx1;

ALTER INDEX weir.request_rows_slowest ATTACH PARTITION weir.request_rows_default_target_duration_ms_idx;

ALTER INDEX weir.request_rows_target ATTACH PARTITION weir.request_rows_default_target_started_at_idx;
