-- A session's requests in time order from a cursor on, those that still run included.
WITH found AS (
    (SELECT {_request_columns} FROM {_of_session} AND (r.started_at, r.request_key) > (%(after_at)s, %(after_key)s)
    ORDER BY r.started_at, r.request_key LIMIT %(limit)s)
    UNION ALL
    (SELECT {_request_columns} FROM weir.pending_requests r
    WHERE r.session_key = %(session)s AND (r.started_at, r.request_key) > (%(after_at)s, %(after_key)s)
    ORDER BY r.started_at, r.request_key LIMIT %(limit)s)
)
SELECT * FROM found ORDER BY started_at, request_key LIMIT %(limit)s
