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
        WHEN error_code IN (-32700, -32600, -32601, -32602, -32002, -32042) THEN 'client' ELSE 'server' END
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

-- The order of commits, so that whoever follows misses no late row: a row is new to a reader when its transaction was not
-- visible in the snapshot the reader had before (pg_visible_in_snapshot).
ALTER TABLE weir.request_rows ADD COLUMN recorded_xid xid8 NOT NULL DEFAULT pg_current_xact_id();
CREATE INDEX request_rows_recorded ON weir.request_rows (recorded_xid);

CREATE INDEX request_rows_errors ON weir.request_rows (started_at) WHERE weir.is_error(outcome);
CREATE INDEX request_rows_target ON weir.request_rows (target, started_at) WHERE method = 'tools/call';
CREATE INDEX request_rows_slowest ON weir.request_rows (target, duration_ms) WHERE method = 'tools/call';
CREATE INDEX request_rows_rounds ON weir.request_rows (operation_key) WHERE operation_key <> request_key;
CREATE INDEX derived_requests_session ON weir.derived_requests (session_key);
CREATE INDEX session_rows_started ON weir.session_rows (started_at);
CREATE INDEX session_rows_previous ON weir.session_rows (previous_session_key) WHERE previous_session_key IS NOT NULL;
CREATE INDEX session_rows_principal ON weir.session_rows (principal_key, last_seen_at) WHERE principal_key IS NOT NULL;
CREATE INDEX stream_rows_opened ON weir.stream_rows (opened_at);
CREATE INDEX stream_rows_session ON weir.stream_rows (session_key);
CREATE INDEX coverage_rows_minute ON weir.coverage_rows (minute);
CREATE INDEX session_rows_service ON weir.session_rows (service, last_seen_at);
CREATE INDEX rollup_hour_target ON weir.rollup_hour (target, at);
CREATE INDEX rollup_day_target ON weir.rollup_day (target, at);
