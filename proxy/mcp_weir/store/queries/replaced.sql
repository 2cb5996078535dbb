-- Sessions that have been silent for the idle window, and after which the same client began another on the connection
-- on which they had begun. Both sides are bounded by time: the cost follows the sessions of the last minutes.
SELECT DISTINCT ON (old.session_key) old.session_key, new.session_key, new.identity_at, new.begun_stream,
    new.begun_connection
FROM weir.session_rows old JOIN weir.session_rows new
    ON (new.begun_stream, new.begun_connection, new.service) = (old.begun_stream, old.begun_connection, old.service)
    AND new.session_key <> old.session_key AND new.identity_at >= old.last_seen_at
    AND (new.principal_key, new.client_name, new.client_version, new.user_agent, new.remote_addr)
        IS NOT DISTINCT FROM
        (old.principal_key, old.client_name, old.client_version, old.user_agent, old.remote_addr)
WHERE old.last_seen_at >= %(since)s AND old.last_seen_at < %(until)s AND old.ended_at IS NULL
    AND old.source = 'header' AND new.source = 'header'
    AND new.started_at >= %(since)s AND new.started_at < %(until)s + %(within)s
    AND NOT EXISTS (SELECT 1 FROM weir.stream_rows t WHERE t.session_key = old.session_key
        AND t.closed_at IS NULL AND t.closed_by IS NULL)
ORDER BY old.session_key, new.identity_at, new.session_key
