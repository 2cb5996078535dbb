-- What reads need: whose fault a failure is, windows composed of rollups, indexes, and the order of commits.

-- The layer a failure happened in (null for what is no failure). `message` tells our own 502 from an upstream's.
CREATE FUNCTION weir.layer_of(outcome text, http_status int, message text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
SELECT CASE
    WHEN outcome IN ('upstream_aborted', 'interrupted', 'no_answer') THEN 'connection'
    WHEN outcome = 'http_error' AND (coalesce(http_status, 0) = 0 OR message LIKE 'upstream %') THEN 'connection'
    WHEN outcome = 'http_error' THEN 'http'
    WHEN outcome = 'rpc_error' THEN 'rpc'
    WHEN outcome = 'tool_error' THEN 'tool'
END $$;

-- Whose fault it is by all we can see: client, server, network (between us and the upstream), weir (a worker of ours died).
-- JSON-RPC codes: 2.0 section 5.1; -32002, -32042 and the -3200x range: the MCP schema.
CREATE FUNCTION weir.fault_of(outcome text, http_status int, error_code bigint) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
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

-- The first whole step (of UTC) at or after a time, and the last at or before an end; an end not past yet has none.
CREATE FUNCTION weir.edge(at timestamptz, step interval) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT date_bin(step, at + step - interval '1 microsecond', timestamptz '1970-01-01 00:00:00+00') $$;
CREATE FUNCTION weir.end_edge(until timestamptz, step interval) RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN until >= now() THEN timestamptz 'infinity'
    ELSE date_bin(step, until, timestamptz '1970-01-01 00:00:00+00') END $$;

-- The rollups that make up [since, until), whole minutes: whole days from days, what is left of the edges from hours and
-- minutes. An `until` that is not past yet asks for no edge there. One SELECT, so that it is planned into its caller.
CREATE FUNCTION weir.rolled(since timestamptz, until timestamptz) RETURNS SETOF weir.rollup_minute
LANGUAGE sql STABLE PARALLEL SAFE AS $$
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

-- The same of the narrow rollups.
CREATE FUNCTION weir.totalled(since timestamptz, until timestamptz) RETURNS SETOF weir.total_minute
LANGUAGE sql STABLE PARALLEL SAFE AS $$
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

-- Facets: the same requests counted by one thing at a time, so that a list of tools or clients over a week reads thousands
-- of rows and not half a million. Facet `all` has the name ''; `tool` counts a client's tools/call by target; `client` and
-- `method` count every request. They are kept by the recorder in the
-- transaction that writes the rows (a trigger that did it cost twice the COPY), and made again by weir.rebuild_facets.
CREATE TABLE weir.facet_hour (
    facet text NOT NULL,
    name text NOT NULL,
    at timestamptz NOT NULL,
    service text NOT NULL,
    is_call boolean NOT NULL,
    outcome text NOT NULL,
    requests bigint NOT NULL,
    timed bigint NOT NULL, -- those that have a duration
    duration_us bigint NOT NULL,
    request_bytes bigint NOT NULL,
    response_bytes bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    PRIMARY KEY (facet, at, name, service, is_call, outcome)
) WITH (fillfactor = 70);
CREATE TABLE weir.facet_day (LIKE weir.facet_hour INCLUDING ALL) WITH (fillfactor = 70);
-- Latency of tools/call by facet.
CREATE TABLE weir.latency_hour (
    facet text NOT NULL,
    name text NOT NULL,
    at timestamptz NOT NULL,
    service text NOT NULL,
    latency_bucket smallint NOT NULL,
    calls bigint NOT NULL,
    PRIMARY KEY (facet, at, name, service, latency_bucket)
) WITH (fillfactor = 70);
CREATE TABLE weir.latency_day (LIKE weir.latency_hour INCLUDING ALL) WITH (fillfactor = 70);
CREATE INDEX facet_hour_name ON weir.facet_hour (facet, name, at);
CREATE INDEX facet_day_name ON weir.facet_day (facet, name, at);
CREATE INDEX latency_hour_name ON weir.latency_hour (facet, name, at);
CREATE INDEX latency_day_name ON weir.latency_day (facet, name, at);

-- The facets of a request, as rows.
CREATE FUNCTION weir.facets_of(method text, target text, client text, is_call boolean)
RETURNS TABLE (facet text, name text) LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 4 AS $$
    SELECT * FROM (VALUES ('all', ''), ('client', left(coalesce(client, ''), 64)), ('method', left(coalesce(method, ''), 64)),
        ('tool', CASE WHEN is_call THEN left(coalesce(target, ''), 200) END)) AS f (facet, name)
    WHERE name IS NOT NULL
$$;

-- Adds the rows of `source` (a table expression in the shape of weir.request_rows) to the facets of a step: hour or day.
CREATE FUNCTION weir.facet_sql(source text, step text) RETURNS text[] LANGUAGE sql IMMUTABLE AS $$
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
$$;

-- Makes the facets of [first, until), whole days, again from the rows that are kept.
CREATE FUNCTION weir.rebuild_facets(first timestamptz, until timestamptz) RETURNS void LANGUAGE plpgsql AS $$
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

-- One facet over [since, until), composed as weir.rolled is; a minute's part comes from the rollups by minute.
CREATE FUNCTION weir.faceted(kind text, since timestamptz, until timestamptz) RETURNS SETOF weir.facet_hour
LANGUAGE sql STABLE PARALLEL SAFE AS $$
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
-- Percentiles of more than two days count the first day whole: its hours alone would be as many rows as the other days.
CREATE FUNCTION weir.first_day(since timestamptz, until timestamptz) RETURNS timestamptz LANGUAGE sql STABLE
PARALLEL SAFE AS $$ SELECT CASE WHEN until - since > interval '48 hours'
    THEN date_bin('24 hours', since, timestamptz '1970-01-01 00:00:00+00') ELSE weir.edge(since, '24 hours') END $$;
CREATE FUNCTION weir.latencies(kind text, since timestamptz, until timestamptz) RETURNS SETOF weir.latency_hour
LANGUAGE sql STABLE PARALLEL SAFE AS $$
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

-- The order of commits, so that whoever follows misses no late row: a row is new to a reader when its transaction was not
-- visible in the snapshot the reader had before (pg_visible_in_snapshot).
ALTER TABLE weir.request_rows ADD COLUMN recorded_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX request_rows_recorded ON weir.request_rows (recorded_xid);

CREATE INDEX request_rows_errors ON weir.request_rows (started_at) WHERE weir.is_error(outcome);
CREATE INDEX request_rows_target ON weir.request_rows (target, started_at) WHERE method = 'tools/call';
CREATE INDEX request_rows_slowest ON weir.request_rows (target, duration_ms) WHERE method = 'tools/call';
CREATE INDEX request_rows_rounds ON weir.request_rows (operation_key) WHERE operation_key <> request_key;
CREATE INDEX session_rows_started ON weir.session_rows (started_at);
CREATE INDEX session_rows_previous ON weir.session_rows (previous_session_key) WHERE previous_session_key IS NOT NULL;
CREATE INDEX session_rows_principal ON weir.session_rows (principal_key, last_seen_at) WHERE principal_key IS NOT NULL;
CREATE INDEX stream_rows_opened ON weir.stream_rows (opened_at);
CREATE INDEX stream_rows_session ON weir.stream_rows (session_key);
CREATE INDEX coverage_rows_minute ON weir.coverage_rows (minute);
CREATE INDEX session_rows_service ON weir.session_rows (service, last_seen_at);
CREATE INDEX rollup_hour_target ON weir.rollup_hour (target, at);
CREATE INDEX rollup_day_target ON weir.rollup_day (target, at);
