-- Failures by day, for windows of days: 25,000 rows of a busy week are 6,000 without the client as a key. Which clients
-- had them stands in a list, at most 100 of them: names are chosen by strangers, and a list is rewritten when it grows.
CREATE TABLE weir.error_day (
    at timestamptz NOT NULL,
    service text NOT NULL,
    method text NOT NULL,
    target text NOT NULL,
    outcome text NOT NULL,
    http_status int NOT NULL, -- 0 for none
    error_code bigint NOT NULL, -- 0 for none
    message text NOT NULL, -- '' for none
    clients text[] NOT NULL,
    requests bigint NOT NULL,
    first_at timestamptz NOT NULL, -- the first hour
    last_at timestamptz NOT NULL,
    PRIMARY KEY (at, service, method, target, outcome, http_status, error_code, message)
) WITH (fillfactor = 70);

-- Two lists of clients as one, sorted.
CREATE FUNCTION weir.merged_clients(one text[], other text[]) RETURNS text[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN one @> other OR cardinality(one) >= 100 THEN one
        ELSE ARRAY(SELECT DISTINCT c FROM unnest(one || other) AS c ORDER BY c LIMIT 100) END
$$;

-- Makes whole days from `since` on again from the hours.
CREATE FUNCTION weir.rebuild_error_days(since timestamptz) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    LOCK TABLE weir.error_hour, weir.error_day IN EXCLUSIVE MODE; -- in the order of a recorder's transaction
    DELETE FROM weir.error_day WHERE at >= since;
    INSERT INTO weir.error_day
    SELECT date_trunc('day', at, 'UTC'), service, method, target, outcome, http_status, error_code, message,
        (array_agg(DISTINCT client ORDER BY client))[:100], sum(requests), min(at), max(last_at)
    FROM weir.error_hour WHERE at >= since GROUP BY 1, 2, 3, 4, 5, 6, 7, 8;
END $$;

SELECT weir.rebuild_error_days('-infinity');
