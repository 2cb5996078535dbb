-- Everything of these sessions and principals; name and number of rows by table.
WITH mine AS (
    SELECT session_key FROM weir.session_rows
    WHERE session_key = ANY(%(sessions)s::uuid[]) OR principal_key = ANY(%(principals)s::bytea[])
    UNION SELECT unnest(%(sessions)s::uuid[])
), mapped AS (
    DELETE FROM weir.derived_requests WHERE session_key IN (SELECT session_key FROM mine) RETURNING request_key
), requests AS (
    DELETE FROM weir.request_rows
    WHERE session_key IN (SELECT session_key FROM mine) OR principal_key = ANY(%(principals)s::bytea[])
        OR request_key IN (SELECT request_key FROM mapped)
    RETURNING request_key
), pending AS (
    DELETE FROM weir.pending_requests
    WHERE session_key IN (SELECT session_key FROM mine) OR principal_key = ANY(%(principals)s::bytea[])
    RETURNING request_key
), queued AS (
    DELETE FROM weir.derived_queue WHERE request_key IN (SELECT request_key FROM mapped
        UNION ALL SELECT request_key FROM requests UNION ALL SELECT request_key FROM pending) RETURNING 1
), scopes AS (
    DELETE FROM weir.derived_scopes s
    WHERE EXISTS (SELECT 1 FROM unnest(%(raw)s::bytea[]) AS w (word) WHERE position(word IN s.state) > 0) RETURNING 1
), posted AS (
    DELETE FROM weir.elsewhere WHERE session_key IN (SELECT session_key FROM mine) RETURNING 1
), ends AS (
    DELETE FROM weir.session_ends WHERE session_key IN (SELECT session_key FROM mine) RETURNING 1
), streams AS (
    DELETE FROM weir.stream_rows WHERE session_key IN (SELECT session_key FROM mine) RETURNING 1
), quarantined AS (
    DELETE FROM weir.quarantine_rows q
    WHERE EXISTS (SELECT 1 FROM unnest(%(words)s::bytea[]) AS w (word) WHERE position(word IN q.raw) > 0) RETURNING 1
), successors AS (
    UPDATE weir.session_rows SET previous_session_key = NULL
    WHERE previous_session_key IN (SELECT session_key FROM mine)
        AND session_key NOT IN (SELECT session_key FROM mine) RETURNING 1
), sessions AS (
    DELETE FROM weir.session_rows WHERE session_key IN (SELECT session_key FROM mine) RETURNING 1
)
SELECT 'requests' AS name, count(*) FROM requests UNION ALL SELECT 'pending', count(*) FROM pending
UNION ALL SELECT 'streams', count(*) FROM streams UNION ALL SELECT 'quarantine', count(*) FROM quarantined
UNION ALL SELECT 'sessions', count(*) FROM sessions UNION ALL SELECT 'successors', count(*) FROM successors
