-- What spans exchanges and recorders: how far each stream has been read, facts that speak of a request elsewhere,
-- operations of several rounds, ends and successors of sessions, and derived sessions.

ALTER TABLE weir.request_rows ADD COLUMN handle bytea, ADD COLUMN proxied boolean;
ALTER TABLE weir.pending_requests ADD COLUMN handle bytea, ADD COLUMN proxied boolean;
COMMENT ON COLUMN weir.request_rows.handle IS 'evidence: keyed hash of the configured handle header or argument';
COMMENT ON COLUMN weir.request_rows.proxied IS
    'evidence: a trusted proxy stood before us, so that one connection may have carried many clients';

-- The watermark: up to which wall time each worker's stream is in this database.
CREATE TABLE weir.stream_marks (
    stream uuid PRIMARY KEY,
    service text NOT NULL,
    boot text NOT NULL DEFAULT '', -- of the host whose clock it is
    read_to timestamptz NOT NULL,
    done boolean NOT NULL DEFAULT false,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX stream_marks_live ON weir.stream_marks (updated_at) WHERE NOT done;

CREATE TABLE weir.recorders (recorder uuid PRIMARY KEY, seen_at timestamptz NOT NULL DEFAULT now());

ALTER TABLE weir.open_exchanges
    ADD COLUMN recorder uuid, -- who holds it in memory; another takes it over when that one is gone
    ADD COLUMN service text,
    ADD COLUMN session_key uuid,
    ADD COLUMN event_ids bytea[] NOT NULL DEFAULT '{}';
CREATE INDEX open_exchanges_session ON weir.open_exchanges (session_key) WHERE event_ids <> '{}';
CREATE INDEX open_exchanges_recorder ON weir.open_exchanges (recorder);
CREATE INDEX pending_requests_session ON weir.pending_requests (session_key, direction, jsonrpc_id)
    WHERE session_key IS NOT NULL;

-- Answers and cancels that no request in their recorder's memory was waiting for: whoever holds the request takes them.
CREATE TABLE weir.elsewhere (
    stream uuid NOT NULL,
    exchange bigint NOT NULL,
    seq int NOT NULL,
    service text NOT NULL,
    session_key uuid NOT NULL,
    direction text NOT NULL,
    jsonrpc_id text NOT NULL,
    at timestamptz NOT NULL,
    said bytea NOT NULL,
    PRIMARY KEY (stream, exchange, seq)
);
CREATE INDEX elsewhere_asked ON weir.elsewhere (session_key, direction, jsonrpc_id);
CREATE INDEX elsewhere_at ON weir.elsewhere (at);

-- What later requests of an operation name: a requestState, the keys of an input request, a task.
CREATE TABLE weir.handed_out (
    request_key uuid NOT NULL,
    hash bytea NOT NULL, -- of (kind, service, principal or session, name, what was handed out)
    operation_key uuid NOT NULL,
    at timestamptz NOT NULL,
    claimed_by uuid,
    PRIMARY KEY (hash, request_key)
);
CREATE INDEX handed_out_at ON weir.handed_out (at);

-- Ends that came before their session was known here. A 404 for a session that nobody accepted stays without effect.
CREATE TABLE weir.session_ends (
    session_key uuid NOT NULL,
    reason text NOT NULL,
    at timestamptz NOT NULL,
    closed_by text,
    stream uuid,
    connection bigint,
    PRIMARY KEY (session_key, reason)
);
CREATE INDEX session_ends_at ON weir.session_ends (at);

ALTER TABLE weir.session_rows
    ADD COLUMN identity_by uuid, -- the exchange that said who the client is
    ADD COLUMN seen_by uuid, -- the exchange at started_at, of which address, agent and principal are
    ADD COLUMN begun_stream uuid, -- the connection that carried `initialize`
    ADD COLUMN begun_connection bigint,
    ADD COLUMN call_count bigint NOT NULL DEFAULT 0,
    ADD COLUMN evidence text,
    ADD COLUMN provisional boolean NOT NULL DEFAULT false;
COMMENT ON COLUMN weir.session_rows.call_count IS
    'tools/call, prompts/get, resources/read and completion/complete: a session without any is a ghost';
COMMENT ON COLUMN weir.session_rows.confidence IS
    'measured share of request pairs in such sessions that truly belong together; see docs/sessions.md';
COMMENT ON COLUMN weir.session_rows.evidence IS 'derived sessions: the weakest evidence that joined a request to it';
CREATE INDEX session_rows_begun ON weir.session_rows (service, started_at) WHERE source IN ('header', 'endpoint');

CREATE TABLE weir.parameters (name text PRIMARY KEY, value text NOT NULL);
CREATE FUNCTION weir.idle_window() RETURNS interval LANGUAGE sql STABLE AS
$$ SELECT coalesce((SELECT value::interval FROM weir.parameters WHERE name = 'idle_window'), interval '30 minutes') $$;

-- Derived sessions. The mapping is provisional while the request is still in the queue.
DROP VIEW weir.requests;
DROP VIEW weir.sessions;
DROP TABLE weir.derived_requests;
CREATE TABLE weir.derived_requests (
    request_key uuid NOT NULL,
    started_at timestamptz NOT NULL,
    session_key uuid NOT NULL,
    PRIMARY KEY (request_key, started_at)
) PARTITION BY RANGE (started_at);
CREATE TABLE weir.derived_requests_default PARTITION OF weir.derived_requests DEFAULT;
CREATE INDEX derived_requests_session ON weir.derived_requests (session_key, started_at);

CREATE TABLE weir.derived_queue (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    scope bytea NOT NULL,
    started_at timestamptz NOT NULL,
    request_key uuid NOT NULL,
    lead_key uuid NOT NULL, -- the first client request of the same exchange, with which it goes
    lead_at timestamptz NOT NULL,
    evidence bytea, -- null where it was queued before, when the request was still running
    counts bytea -- null while it is running
);
CREATE INDEX derived_queue_at ON weir.derived_queue (started_at);
CREATE INDEX derived_queue_scope ON weir.derived_queue (scope, started_at);

CREATE TABLE weir.derived_scopes (
    scope bytea PRIMARY KEY,
    frontier timestamptz NOT NULL, -- what started before is settled
    state bytea NOT NULL,
    updated_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX derived_scopes_updated ON weir.derived_scopes (updated_at);

CREATE FUNCTION weir.ensure_derived_partition(day date) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    name text := 'derived_requests_' || to_char(day, 'YYYYMMDD');
    first timestamptz := day::timestamp AT TIME ZONE 'UTC';
    until timestamptz := (day + 1)::timestamp AT TIME ZONE 'UTC';
BEGIN
    IF day > (now() AT TIME ZONE 'UTC')::date + 1 OR day < (now() AT TIME ZONE 'UTC')::date - 400 THEN
        RETURN; -- a clock far off: the default partition takes it
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('weir.ensure_partition'));
    IF to_regclass('weir.' || name) IS NULL THEN -- what a clock that was ahead left in the default partition moves over
        EXECUTE format('CREATE TABLE weir.%I (LIKE weir.derived_requests INCLUDING DEFAULTS)', name);
        EXECUTE format('WITH moved AS (DELETE FROM weir.derived_requests_default WHERE started_at >= %L AND'
            ' started_at < %L RETURNING *) INSERT INTO weir.%I SELECT * FROM moved', first, until, name);
        EXECUTE format('ALTER TABLE weir.derived_requests ATTACH PARTITION weir.%I FOR VALUES FROM (%L) TO (%L)',
            name, first, until);
    END IF;
END $$;

-- An end by 404 or by a new session on the same connection is void when the session was heard of afterwards.
CREATE VIEW weir.sessions AS
SELECT s.service, s.instance, s.session_key, s.source, s.confidence, s.era, s.session_id, s.client_name,
    s.client_version, s.client_label, s.client_capabilities, s.user_agent, s.protocol_version, s.server_name,
    s.server_version, s.principal, s.principal_key, s.remote_addr, s.started_at, s.last_seen_at,
    CASE WHEN e.said THEN s.ended_at WHEN e.idle THEN s.last_seen_at END AS ended_at,
    CASE WHEN e.said OR e.idle THEN 'ended'
         WHEN s.last_seen_at > now() - interval '5 minutes' THEN 'active'
         ELSE 'idle' END AS status,
    CASE WHEN e.said THEN s.end_reason WHEN e.idle THEN 'idle_timeout' END AS end_reason,
    s.previous_session_key, s.request_count, s.tool_call_count, s.error_count, s.request_bytes, s.response_bytes,
    s.tokens_in, s.tokens_out, s.call_count,
    s.call_count = 0 AND (e.said OR s.last_seen_at < now() - interval '5 minutes') AS ghost,
    s.evidence, s.provisional
FROM weir.session_rows s
CROSS JOIN LATERAL (
    SELECT s.ended_at IS NOT NULL
        AND (s.end_reason NOT IN ('lost', 'replaced') OR s.last_seen_at <= s.ended_at) AS said,
        s.last_seen_at < now() - weir.idle_window() AND NOT EXISTS (
            SELECT 1 FROM weir.stream_rows t WHERE t.session_key = s.session_key AND t.closed_at IS NULL
            AND t.closed_by IS NULL) AS idle
) e;
CREATE INDEX stream_rows_open ON weir.stream_rows (session_key) WHERE closed_at IS NULL;

CREATE VIEW weir.requests AS
SELECT r.service, r.instance, r.request_key, r.session_key, r.started_at,
    r.direction, r.method, r.target, r.jsonrpc_id, r.outcome, r.http_method, r.http_status, r.error_code,
    r.error_message, r.duration_ms, r.first_byte_ms, r.first_event_ms, r.end_ms, r.client_stall_ms, r.overhead_us,
    r.response_kind, r.request_bytes, r.response_bytes, r.tokens_in, r.tokens_out, r.progress_count, r.operation_key,
    r.batch_key, r.args_hash, r.arguments, r.result, r.flags, r.trace_id, r.parent_span_id, r.era,
    r.protocol_version, r.client_name, r.client_version, r.client_label, r.principal_key, r.remote_addr, r.user_agent
FROM weir.request_rows r WHERE r.session_key IS NOT NULL
UNION ALL
SELECT r.service, r.instance, r.request_key, d.session_key, r.started_at,
    r.direction, r.method, r.target, r.jsonrpc_id, r.outcome, r.http_method, r.http_status, r.error_code,
    r.error_message, r.duration_ms, r.first_byte_ms, r.first_event_ms, r.end_ms, r.client_stall_ms, r.overhead_us,
    r.response_kind, r.request_bytes, r.response_bytes, r.tokens_in, r.tokens_out, r.progress_count, r.operation_key,
    r.batch_key, r.args_hash, r.arguments, r.result, r.flags, r.trace_id, r.parent_span_id, r.era,
    r.protocol_version, r.client_name, r.client_version, r.client_label, r.principal_key, r.remote_addr, r.user_agent
FROM weir.request_rows r LEFT JOIN weir.derived_requests d
    ON d.request_key = r.request_key AND d.started_at = r.started_at
WHERE r.session_key IS NULL
UNION ALL
SELECT p.service, p.instance, p.request_key, coalesce(p.session_key, d.session_key), p.started_at,
    p.direction, p.method, p.target, p.jsonrpc_id, 'running', p.http_method, p.http_status, p.error_code,
    p.error_message, NULL, p.first_byte_ms, p.first_event_ms, NULL, NULL, NULL,
    p.response_kind, p.request_bytes, p.response_bytes, p.tokens_in, p.tokens_out, p.progress_count, p.operation_key,
    p.batch_key, p.args_hash, p.arguments, p.result, p.flags, p.trace_id, p.parent_span_id, p.era,
    p.protocol_version, p.client_name, p.client_version, p.client_label, p.principal_key, p.remote_addr, p.user_agent
FROM weir.pending_requests p LEFT JOIN weir.derived_requests d
    ON d.request_key = p.request_key AND d.started_at = p.started_at;

-- Operations of more than one request: rounds that asked for input, tasks from creation to result.
CREATE VIEW weir.operations AS
SELECT service, operation_key, (array_agg(session_key ORDER BY started_at))[1] AS session_key,
    (array_agg(method ORDER BY started_at))[1] AS method, (array_agg(target ORDER BY started_at))[1] AS target,
    min(started_at) AS started_at,
    max(started_at + coalesce(duration_ms, 0) * interval '1 millisecond') AS ended_at,
    (array_agg(outcome ORDER BY started_at DESC))[1] AS outcome, count(*) AS rounds,
    sum(duration_ms) AS server_ms,
    extract(epoch FROM max(started_at + coalesce(duration_ms, 0) * interval '1 millisecond') - min(started_at)) * 1000
        - coalesce(sum(duration_ms), 0) AS client_ms
FROM weir.requests WHERE operation_key IN (
    SELECT operation_key FROM weir.request_rows WHERE operation_key <> request_key)
GROUP BY service, operation_key;
