-- Everything of these sessions and principals; name and number of rows by table.
WITH theirs AS (
    SELECT session_key FROM weir.session_rows
    WHERE principal_key = ANY(%(principals)s::bytea[]) AND session_key <> ALL(%(sessions)s::uuid[])
), shared AS ( -- somebody else called in it too: those rows are somebody else's
    SELECT session_key FROM theirs t
    WHERE EXISTS (SELECT 1 FROM weir.request_rows r
            WHERE r.session_key = t.session_key AND r.principal_key <> ALL(%(principals)s::bytea[]))
        OR EXISTS (SELECT 1 FROM weir.pending_requests r
            WHERE r.session_key = t.session_key AND r.principal_key <> ALL(%(principals)s::bytea[]))
), mine AS (
    SELECT unnest(%(sessions)s::uuid[]) AS session_key
    UNION SELECT session_key FROM theirs WHERE session_key NOT IN (SELECT session_key FROM shared)
), mapped AS (
    DELETE FROM weir.derived_requests WHERE session_key IN (SELECT session_key FROM mine) RETURNING request_key
), requests AS (
    DELETE FROM weir.request_rows
    WHERE session_key IN (SELECT session_key FROM mine) OR principal_key = ANY(%(principals)s::bytea[])
        OR request_key IN (SELECT request_key FROM mapped)
        OR (principal_key IS NULL AND session_key IN (SELECT session_key FROM shared))
    RETURNING request_key, operation_key, session_key
), pending AS (
    DELETE FROM weir.pending_requests
    WHERE session_key IN (SELECT session_key FROM mine) OR principal_key = ANY(%(principals)s::bytea[])
        OR (principal_key IS NULL AND session_key IN (SELECT session_key FROM shared))
    RETURNING request_key, operation_key, session_key
), gone AS (
    SELECT request_key FROM mapped UNION SELECT request_key FROM requests UNION SELECT request_key FROM pending
), queued AS (
    DELETE FROM weir.derived_queue
    WHERE request_key IN (SELECT request_key FROM gone) OR scope = ANY(%(scopes)s::bytea[]) RETURNING 1
), scopes AS ( -- a principal's own, whole; of a scope that others share, the caller takes out sessions one by one
    DELETE FROM weir.derived_scopes WHERE scope = ANY(%(scopes)s::bytea[]) RETURNING 1
), posted AS (
    DELETE FROM weir.elsewhere WHERE session_key IN (SELECT session_key FROM mine
        UNION SELECT session_key FROM requests UNION SELECT session_key FROM pending) RETURNING 1
), handed AS (
    DELETE FROM weir.handed_out WHERE request_key IN (SELECT request_key FROM gone)
        OR claimed_by IN (SELECT request_key FROM gone) OR operation_key IN (
            SELECT operation_key FROM requests UNION SELECT operation_key FROM pending) RETURNING 1
), tasks AS (
    DELETE FROM weir.task_ends WHERE session_key IN (SELECT session_key FROM mine)
        OR principal_key = ANY(%(principals)s::bytea[]) OR operation_key IN (
            SELECT operation_key FROM requests UNION SELECT operation_key FROM pending) RETURNING 1
), ends AS (
    DELETE FROM weir.session_ends WHERE session_key IN (SELECT session_key FROM mine) RETURNING 1
), streams AS (
    DELETE FROM weir.stream_rows -- of a shared session too: a stream's row does not say whose it was
    WHERE session_key IN (SELECT session_key FROM mine UNION SELECT session_key FROM shared) RETURNING 1
), quarantined AS (
    DELETE FROM weir.quarantine_rows q
    WHERE EXISTS (SELECT 1 FROM unnest(%(words)s::bytea[]) AS w (word) WHERE position(word IN q.raw) > 0) RETURNING 1
), successors AS (
    UPDATE weir.session_rows SET previous_session_key = NULL
    WHERE previous_session_key IN (SELECT session_key FROM mine)
        AND session_key NOT IN (SELECT session_key FROM mine UNION SELECT session_key FROM shared) RETURNING 1
), scrubbed AS ( -- what was first seen stays first seen: a later caller's name does not come to stand there
    UPDATE weir.session_rows SET principal = NULL, principal_key = NULL, remote_addr = NULL, user_agent = NULL,
        session_id = NULL, previous_session_key =
            CASE WHEN previous_session_key NOT IN (SELECT session_key FROM mine) THEN previous_session_key END
    WHERE session_key IN (SELECT session_key FROM shared) RETURNING 1
), sessions AS (
    DELETE FROM weir.session_rows WHERE session_key IN (SELECT session_key FROM mine) RETURNING 1
)
SELECT 'requests' AS name, count(*) FROM requests UNION ALL SELECT 'pending', count(*) FROM pending
UNION ALL SELECT 'streams', count(*) FROM streams UNION ALL SELECT 'quarantine', count(*) FROM quarantined
UNION ALL SELECT 'queued', count(*) FROM queued UNION ALL SELECT 'posted', count(*) FROM posted
UNION ALL SELECT 'handed_out', count(*) FROM handed UNION ALL SELECT 'task_ends', count(*) FROM tasks
 UNION ALL SELECT 'sessions', count(*) FROM sessions UNION ALL SELECT 'successors', count(*) FROM successors
 UNION ALL SELECT 'shared_sessions', count(*) FROM scrubbed
