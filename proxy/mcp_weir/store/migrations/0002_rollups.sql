-- Rollups: counts and mergeable latency histograms by minute, hour and day. They are sums over weir.request_rows and
-- nothing else, so that they can be rebuilt exactly. They never key on a derived session, which may still change.
ALTER TABLE weir.request_rows ADD COLUMN client_label text, ADD COLUMN latency_bucket smallint;
ALTER TABLE weir.pending_requests ADD COLUMN client_label text, ADD COLUMN latency_bucket smallint;
COMMENT ON COLUMN weir.request_rows.latency_bucket IS
    'index of duration_ms in an exponential histogram of base 2^(1/8) (OpenTelemetry scale 3): bucket i holds'
    ' (2^(i/8), 2^((i+1)/8)] ms; -128 where there is no duration or none above 0';

-- The middle of a bucket in milliseconds: within 4.5 % of every value in it.
CREATE FUNCTION weir.bucket_ms(bucket int) RETURNS double precision LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
$$ SELECT CASE WHEN bucket <= -128 THEN 0 ELSE power(2::double precision, (bucket + 0.5) / 8) END $$;

-- Wide: one row for each (time, service, direction, method, target, client, outcome, latency bucket).
CREATE TABLE weir.rollup_minute (
    at timestamptz NOT NULL,
    service text NOT NULL,
    direction text NOT NULL,
    method text NOT NULL, -- '' for an exchange that carried no request
    target text NOT NULL, -- '' for none
    client text NOT NULL, -- the client's label, '' where unknown
    outcome text NOT NULL,
    latency_bucket smallint NOT NULL,
    requests bigint NOT NULL,
    duration_us bigint NOT NULL,
    request_bytes bigint NOT NULL,
    response_bytes bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    PRIMARY KEY (at, service, direction, method, target, client, outcome, latency_bucket)
);
CREATE TABLE weir.rollup_hour (LIKE weir.rollup_minute INCLUDING ALL);
CREATE TABLE weir.rollup_day (LIKE weir.rollup_minute INCLUDING ALL);

-- Narrow: tools/call apart from everything else, for whole-service figures and charts over long windows.
CREATE TABLE weir.total_minute (
    at timestamptz NOT NULL,
    service text NOT NULL,
    is_call boolean NOT NULL, -- a client's tools/call
    outcome text NOT NULL,
    latency_bucket smallint NOT NULL,
    requests bigint NOT NULL,
    duration_us bigint NOT NULL,
    request_bytes bigint NOT NULL,
    response_bytes bigint NOT NULL,
    tokens_in bigint NOT NULL,
    tokens_out bigint NOT NULL,
    PRIMARY KEY (at, service, is_call, outcome, latency_bucket)
);
CREATE TABLE weir.total_hour (LIKE weir.total_minute INCLUDING ALL);
CREATE TABLE weir.total_day (LIKE weir.total_minute INCLUDING ALL);

-- Failures by hour, grouped by a message whose digits and quoted parts are blanked.
CREATE TABLE weir.error_hour (
    at timestamptz NOT NULL,
    service text NOT NULL,
    method text NOT NULL,
    target text NOT NULL,
    client text NOT NULL,
    outcome text NOT NULL,
    http_status int NOT NULL, -- 0 for none
    error_code bigint NOT NULL, -- 0 for none
    message text NOT NULL, -- '' for none; at most 200 characters
    requests bigint NOT NULL,
    last_at timestamptz NOT NULL,
    last_request_key uuid NOT NULL,
    PRIMARY KEY (at, service, method, target, client, outcome, http_status, error_code, message)
);
