-- name: plan
-- One row for each session of the history: who, when, how many requests. Skewed as traffic is: a few clients and tools
-- make most of it, some sessions are ghosts, four in ten have no id of their own.
CREATE UNLOGGED TABLE plan AS
WITH drawn AS (
    SELECT n, random() AS r1, random() AS r2, random() AS r3, random() AS r4,
        exp((random() + random() + random() - 1.5) * 2.2) AS weight
    FROM generate_series(1, %(sessions)s) AS n
)
SELECT n,
    ('a0000000-0000-8000-8000-' || lpad(to_hex(n), 12, '0'))::uuid AS session_key,
    now() - make_interval(secs => r1 * %(days)s * 86400) AS start,
    CASE WHEN r2 < 0.08 THEN 2 ELSE greatest(3, round(weight / avg(weight) OVER () * %(mean)s)) END::int AS requests,
    r2 < 0.08 AS ghost,
    r3 < 0.4 AS derived,
    (ARRAY['claude-code', 'cursor', 'claude-ai', 'vscode', 'windsurf', 'goose', 'mcp-inspector', 'zed', 'n8n', 'langchain'])
        [floor(exp(r4 * ln(11)))::int] AS client,
    decode(md5('user' || floor(random() * 400)), 'hex') AS principal_key
FROM drawn;
-- name: tools
CREATE UNLOGGED TABLE tool_plan AS
SELECT rank, (ARRAY['get', 'list', 'search', 'create', 'update', 'delete', 'sync', 'export', 'check', 'run'])[1 + rank %% 10]
    || '_' || (ARRAY['issue', 'page', 'task', 'file', 'project', 'user', 'source', 'chart', 'message', 'job', 'report', 'order'])
    [1 + (rank / 10) %% 12] || CASE WHEN rank >= 120 THEN '_' || rank ELSE '' END AS tool,
    ln(4) + random() * ln(200) AS base, 0.3 + random() * 0.6 AS sigma
FROM generate_series(0, %(tools)s - 1) AS rank;
-- name: day
-- The requests of the sessions that start on one day.
INSERT INTO weir.request_rows (request_key, service, instance, session_key, started_at, direction, method, target,
    jsonrpc_id, outcome, http_method, http_status, error_code, error_message, duration_ms, first_byte_ms, first_event_ms,
    end_ms, client_stall_ms, overhead_us, response_kind, request_bytes, response_bytes, tokens_in, tokens_out,
    progress_count, operation_key, args_hash, flags, era, protocol_version, client_name, client_version, client_label,
    principal_key, remote_addr, user_agent, stream, connection, key_id, latency_bucket)
SELECT key, 'mcp.example:8051', 'replica-' || n %% 2, CASE WHEN derived THEN NULL ELSE session_key END, at, 'client', method,
    target, i::text, outcome, 'POST', CASE outcome WHEN 'http_error' THEN 500 ELSE 200 END,
    CASE outcome WHEN 'rpc_error' THEN -32602 END,
    CASE outcome WHEN 'rpc_error' THEN 'Invalid params: field ' || i %% 7 || ' is required'
        WHEN 'http_error' THEN 'Internal Server Error' END,
    ms, ms * 0.8, ms * 0.8, ms + 0.3, 0, 90, 'json', bytes_in, bytes_out, (bytes_in + 3) / 4, (bytes_out + 3) / 4, 0, key,
    decode(md5(target || i %% 50), 'hex'), '{}', CASE WHEN derived THEN 'modern' ELSE 'legacy' END,
    CASE WHEN derived THEN '2026-07-28' ELSE '2025-11-25' END, client, '1.' || n %% 3, client, principal_key,
    '10.0.0.1'::inet + n %% 250, client || '/1.' || n %% 3, 'b0000000-0000-8000-8000-000000000001'::uuid, n, 'k1',
    CASE WHEN ms > 0 THEN ceil(8 * ln(ms) / ln(2)) - 1 ELSE -128 END::smallint
FROM (
    SELECT p.*, target, (100 + draw * 900)::int AS bytes_in, (200 + draw * draw * 20000)::int AS bytes_out,
        ('c' || lpad(to_hex(p.n), 7, '0') || '-0000-8000-8000-' || lpad(to_hex(i), 12, '0'))::uuid AS key,
        CASE WHEN method <> 'tools/call' THEN 'ok' WHEN fate < 0.94 THEN 'ok' WHEN fate < 0.975 THEN 'tool_error'
            WHEN fate < 0.985 THEN 'rpc_error' WHEN fate < 0.99 THEN 'http_error' WHEN fate < 0.995 THEN 'client_aborted'
            WHEN fate < 0.998 THEN 'cancelled' ELSE 'upstream_aborted' END AS outcome,
        round(exp(base + sigma * 2 * (normal - 1.5))::numeric, 3)::float8 AS ms
    FROM (
        SELECT q.*, CASE WHEN i = 1 AND NOT derived THEN 'initialize' WHEN i = 2 THEN 'tools/list'
                WHEN draw < 0.80 THEN 'tools/call' WHEN draw < 0.85 THEN 'resources/read' WHEN draw < 0.9 THEN 'tools/list'
                WHEN draw < 0.95 THEN 'ping' ELSE 'prompts/get' END AS method,
            least(start + make_interval(secs => i * (8 + draw * 20)), now() - interval '1 second') AS at
        FROM (SELECT p.*, i, random() AS draw, random() AS fate, random() + random() + random() AS normal,
                floor(exp(random() * ln(%(tools)s + 1)))::int - 1 AS rank
            FROM plan p, generate_series(1, p.requests) AS i WHERE p.start >= %(day)s AND p.start < %(day)s + interval '1 day') q
    ) p JOIN tool_plan t USING (rank),
    LATERAL (SELECT CASE p.method WHEN 'tools/call' THEN t.tool WHEN 'resources/read' THEN 'file:///doc/' || rank
        WHEN 'prompts/get' THEN 'prompt_' || rank %% 5 END AS target) x
) made
ORDER BY at;
-- name: derived
INSERT INTO weir.derived_requests (request_key, started_at, session_key)
SELECT request_key, started_at, ('a0000000-0000-8000-8000-' || lpad(substr(request_key::text, 2, 7), 12, '0'))::uuid
FROM weir.request_rows WHERE session_key IS NULL;
-- name: sessions
INSERT INTO weir.session_rows (session_key, service, instance, source, confidence, era, client_name, client_version,
    client_label, client_capabilities, user_agent, protocol_version, server_name, server_version, principal_key,
    remote_addr, started_at, last_seen_at, ended_at, end_reason, request_count, tool_call_count, call_count,
    error_count, request_bytes, response_bytes, tokens_in, tokens_out)
SELECT p.session_key, 'mcp.example:8051', 'replica-' || n %% 2, CASE WHEN derived THEN 'principal' ELSE 'header' END,
    CASE WHEN derived THEN 0.9 ELSE 1 END, CASE WHEN derived THEN 'modern' ELSE 'legacy' END, client, '1.' || n %% 3, client,
    '{}', client || '/1.' || n %% 3, CASE WHEN derived THEN '2026-07-28' ELSE '2025-11-25' END, 'example', '1.0',
    p.principal_key, '10.0.0.1'::inet + n %% 250, first, last,
    CASE WHEN last < now() - interval '30 minutes' THEN last + interval '1 second' END,
    CASE WHEN last < now() - interval '30 minutes' THEN CASE WHEN n %% 3 = 0 THEN 'client_delete' ELSE 'idle_timeout' END END,
    r.requests, calls, calls, errors, r.rb, r.sb, r.ti, r.tto
FROM plan p JOIN (
    SELECT ('x' || substr(request_key::text, 2, 7))::bit(28)::int AS n, min(started_at) AS first, max(started_at) AS last,
        count(*) AS requests, count(*) FILTER (WHERE method = 'tools/call') AS calls,
        count(*) FILTER (WHERE weir.is_error(outcome)) AS errors, sum(request_bytes) AS rb, sum(response_bytes) AS sb,
        sum(tokens_in) AS ti, sum(tokens_out) AS tto
    FROM weir.request_rows GROUP BY 1) r USING (n) ORDER BY last;
-- name: catalog
INSERT INTO weir.catalog_rows (service, content_hash, tool, description, schema_hash, tokens, first_seen, last_seen,
    times_listed)
SELECT 'mcp.example:8051', decode(md5(tool || v), 'hex'), tool, 'What ' || tool || ' does, version ' || v,
    decode(md5(tool || v), 'hex'), 80 + rank, now() - make_interval(days => %(days)s / v), now(), 9000 / v
FROM (SELECT rank, tool FROM tool_plan UNION ALL SELECT 200 + n, 'unused_' || n FROM generate_series(1, 20) n) t,
    generate_series(1, 1 + rank %% 3) AS v;
-- name: streams
INSERT INTO weir.stream_rows (stream_key, service, instance, session_key, kind, opened_at, closed_at, closed_by, events,
    bytes)
SELECT gen_random_uuid(), 'mcp.example:8051', 'replica-0', session_key, CASE WHEN derived THEN 'listen' ELSE 'get' END, start,
    start + make_interval(secs => requests * 10), 'client', requests, requests * 120
FROM plan WHERE n %% 5 = 0;
-- name: coverage
INSERT INTO weir.coverage_rows (stream, minute, service, instance, seen, spooled, dropped, stored, quarantined)
SELECT 'b0000000-0000-8000-8000-000000000001', at, 'mcp.example:8051', 'replica-0', sum(requests), sum(requests), '{}',
    sum(requests), 0
FROM weir.total_minute GROUP BY at ORDER BY at; -- as recorders write them
-- name: dropped
UPDATE weir.coverage_rows SET seen = seen + 40, dropped = '{"disk_full": 40}'
WHERE minute BETWEEN now() - interval '2 days' AND now() - interval '2 days' + interval '5 minutes';
-- name: minute
INSERT INTO weir.rollup_minute
SELECT date_trunc('minute', started_at, 'UTC'), service, direction, coalesce(method, ''), coalesce(target, ''),
    coalesce(client_label, ''), outcome, coalesce(latency_bucket, -128), count(*), sum(coalesce(duration_ms, 0) * 1000)::bigint,
    sum(request_bytes), sum(response_bytes), sum(coalesce(tokens_in, 0)), sum(coalesce(tokens_out, 0))
FROM weir.request_rows WHERE started_at >= %(day)s AND started_at < %(day)s + interval '1 day'
GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1;
-- name: hour
INSERT INTO weir.rollup_hour
SELECT date_trunc('hour', at, 'UTC'), service, direction, method, target, client, outcome, latency_bucket, sum(requests),
    sum(duration_us), sum(request_bytes), sum(response_bytes), sum(tokens_in), sum(tokens_out)
FROM weir.rollup_minute WHERE at >= %(day)s AND at < %(day)s + interval '1 day' GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1;
-- name: day_rollup
INSERT INTO weir.rollup_day
SELECT date_trunc('day', at, 'UTC'), service, direction, method, target, client, outcome, latency_bucket, sum(requests),
    sum(duration_us), sum(request_bytes), sum(response_bytes), sum(tokens_in), sum(tokens_out)
FROM weir.rollup_hour WHERE at >= %(day)s AND at < %(day)s + interval '1 day' GROUP BY 1, 2, 3, 4, 5, 6, 7, 8 ORDER BY 1;
-- name: total
INSERT INTO weir.total_{level}
SELECT at, service, direction = 'client' AND method = 'tools/call', outcome, latency_bucket, sum(requests), sum(duration_us),
    sum(request_bytes), sum(response_bytes), sum(tokens_in), sum(tokens_out)
FROM weir.rollup_{level} GROUP BY 1, 2, 3, 4, 5 ORDER BY 1;
-- name: error
INSERT INTO weir.error_hour
SELECT date_trunc('hour', started_at, 'UTC'), service, coalesce(method, ''), coalesce(target, ''), coalesce(client_label, ''),
    outcome, coalesce(http_status, 0), coalesce(error_code, 0), left(regexp_replace(coalesce(error_message, ''), '\d+', '#', 'g'), 200),
    count(*), max(started_at), (array_agg(request_key ORDER BY started_at DESC))[1]
FROM weir.request_rows WHERE weir.is_error(outcome) GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9 ORDER BY 1;
-- name: error_days
SELECT weir.rebuild_error_days('-infinity');
-- name: facets
SELECT weir.rebuild_facets(%(day)s, %(day)s + interval '1 day');
