-- The first schema. Tables may change; the views at the end are the public face (names are a contract).
CREATE TABLE weir.segments (
    segment uuid PRIMARY KEY,
    stream uuid NOT NULL,
    offset_bytes bigint NOT NULL,
    done boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE weir.request_rows (
    request_key uuid NOT NULL,
    service text NOT NULL,
    instance text NOT NULL,
    session_key uuid,
    started_at timestamptz NOT NULL,
    direction text NOT NULL,
    method text,
    target text,
    jsonrpc_id text,
    outcome text NOT NULL,
    http_method text,
    http_status int,
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
    progress_count int,
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
    PRIMARY KEY (request_key, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE weir.request_rows_default PARTITION OF weir.request_rows DEFAULT;
CREATE INDEX request_rows_started_at ON weir.request_rows (started_at);
CREATE INDEX request_rows_session ON weir.request_rows (session_key, started_at);
COMMENT ON COLUMN weir.request_rows.tokens_in IS 'estimate: ceil(bytes of arguments / 4)';
COMMENT ON COLUMN weir.request_rows.tokens_out IS 'estimate: ceil(bytes of result / 4)';

CREATE TABLE weir.pending_requests (
    LIKE weir.request_rows INCLUDING DEFAULTS,
    exchange bigint NOT NULL,
    state bytea,
    waiting boolean NOT NULL DEFAULT false,
    PRIMARY KEY (request_key)
);
CREATE INDEX pending_requests_exchange ON weir.pending_requests (stream, exchange);

CREATE TABLE weir.open_exchanges (
    stream uuid NOT NULL,
    exchange bigint NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (stream, exchange)
);

CREATE TABLE weir.session_rows (
    session_key uuid PRIMARY KEY,
    service text NOT NULL,
    instance text NOT NULL,
    source text NOT NULL,
    confidence real NOT NULL,
    era text NOT NULL DEFAULT 'unknown',
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
    started_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    ended_at timestamptz,
    end_reason text,
    previous_session_key uuid,
    request_count bigint NOT NULL DEFAULT 0,
    tool_call_count bigint NOT NULL DEFAULT 0,
    error_count bigint NOT NULL DEFAULT 0,
    request_bytes bigint NOT NULL DEFAULT 0,
    response_bytes bigint NOT NULL DEFAULT 0,
    tokens_in bigint NOT NULL DEFAULT 0,
    tokens_out bigint NOT NULL DEFAULT 0,
    identity_at timestamptz
);
CREATE INDEX session_rows_last_seen ON weir.session_rows (last_seen_at);

CREATE TABLE weir.derived_requests (request_key uuid PRIMARY KEY, session_key uuid NOT NULL);

CREATE TABLE weir.stream_rows (
    stream_key uuid PRIMARY KEY,
    service text NOT NULL,
    instance text NOT NULL,
    session_key uuid,
    kind text NOT NULL,
    opened_at timestamptz NOT NULL,
    closed_at timestamptz,
    closed_by text,
    events bigint NOT NULL DEFAULT 0,
    bytes bigint NOT NULL DEFAULT 0,
    resumed_from uuid
);

CREATE TABLE weir.catalog_rows (
    service text NOT NULL,
    content_hash bytea NOT NULL,
    tool text NOT NULL,
    description text,
    schema_hash bytea,
    tokens bigint NOT NULL DEFAULT 0,
    first_seen timestamptz NOT NULL,
    last_seen timestamptz NOT NULL,
    times_listed bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (service, content_hash)
);

CREATE TABLE weir.coverage_rows (
    stream uuid NOT NULL,
    minute timestamptz NOT NULL,
    service text NOT NULL,
    instance text NOT NULL,
    seen bigint NOT NULL DEFAULT 0,
    spooled bigint NOT NULL DEFAULT 0,
    dropped jsonb NOT NULL DEFAULT '{}',
    stored bigint NOT NULL DEFAULT 0,
    quarantined bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (stream, minute)
);

CREATE TABLE weir.quarantine_rows (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    service text,
    instance text,
    at timestamptz NOT NULL DEFAULT now(),
    raw bytea NOT NULL,
    reason text NOT NULL
);

CREATE FUNCTION weir.ensure_partition(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE name text := 'request_rows_' || to_char(day, 'YYYYMMDD');
BEGIN
    IF day > (now() AT TIME ZONE 'UTC')::date + 1 OR day < (now() AT TIME ZONE 'UTC')::date - 400 THEN
        RETURN; -- a clock far off: the default partition takes it
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('weir.ensure_partition'));
    IF to_regclass('weir.' || name) IS NULL THEN
        EXECUTE format('CREATE TABLE weir.%I PARTITION OF weir.request_rows FOR VALUES FROM (%L) TO (%L)',
            name, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
    END IF;
END $$;

CREATE FUNCTION weir.is_error(outcome text) RETURNS boolean LANGUAGE sql IMMUTABLE AS
$$ SELECT outcome IN ('tool_error', 'rpc_error', 'http_error', 'upstream_aborted', 'interrupted', 'no_answer') $$;

CREATE VIEW weir.sessions AS
SELECT service, instance, session_key, source, confidence, era, session_id, client_name, client_version, client_label,
    client_capabilities, user_agent, protocol_version, server_name, server_version, principal, principal_key,
    remote_addr, started_at, last_seen_at, ended_at,
    CASE WHEN ended_at IS NOT NULL THEN 'ended'
         WHEN last_seen_at > now() - interval '5 minutes' THEN 'active'
         ELSE 'idle' END AS status,
    end_reason, previous_session_key, request_count, tool_call_count, error_count, request_bytes, response_bytes,
    tokens_in, tokens_out
FROM weir.session_rows;

CREATE VIEW weir.requests AS
SELECT r.service, r.instance, r.request_key, coalesce(r.session_key, d.session_key) AS session_key, r.started_at,
    r.direction, r.method, r.target, r.jsonrpc_id, r.outcome, r.http_method, r.http_status, r.error_code,
    r.error_message, r.duration_ms, r.first_byte_ms, r.first_event_ms, r.end_ms, r.client_stall_ms, r.overhead_us,
    r.response_kind, r.request_bytes, r.response_bytes, r.tokens_in, r.tokens_out, r.progress_count, r.operation_key,
    r.batch_key, r.args_hash, r.arguments, r.result, r.flags, r.trace_id, r.parent_span_id, r.era,
    r.protocol_version, r.client_name, r.client_version, r.principal_key, r.remote_addr, r.user_agent
FROM weir.request_rows r LEFT JOIN weir.derived_requests d USING (request_key)
UNION ALL
SELECT service, instance, request_key, session_key, started_at, direction, method, target, jsonrpc_id, 'running',
    http_method, http_status, error_code, error_message, NULL, first_byte_ms, first_event_ms, NULL, NULL, NULL,
    response_kind, request_bytes, response_bytes, tokens_in, tokens_out, progress_count, operation_key, batch_key,
    args_hash, arguments, result, flags, trace_id, parent_span_id, era, protocol_version, client_name,
    client_version, principal_key, remote_addr, user_agent
FROM weir.pending_requests;

CREATE VIEW weir.streams AS
SELECT service, instance, stream_key, session_key, kind, opened_at, closed_at, closed_by, events, bytes, resumed_from
FROM weir.stream_rows;

CREATE VIEW weir.catalog AS
SELECT c.service, ''::text AS instance, c.tool, c.description, c.schema_hash, c.content_hash, c.tokens, c.first_seen,
    c.last_seen, c.times_listed,
    (SELECT count(*) FROM weir.request_rows r WHERE r.service = c.service AND r.method = 'tools/call'
        AND r.target = c.tool AND r.started_at >= c.first_seen) AS times_called
FROM weir.catalog_rows c;

CREATE VIEW weir.coverage AS
SELECT service, instance, minute, sum(seen) AS seen, sum(stored) AS stored, sum(spooled) AS spooled,
    coalesce(jsonb_agg(dropped) FILTER (WHERE dropped <> '{}'), '[]') AS dropped, sum(quarantined) AS quarantined
FROM weir.coverage_rows GROUP BY service, instance, minute;

CREATE VIEW weir.quarantine AS SELECT service, instance, id, at, raw, reason FROM weir.quarantine_rows;
