-- A session's streams in time order.
SELECT {_stream_columns}
FROM weir.stream_rows t LEFT JOIN weir.session_rows s USING (session_key)
WHERE t.session_key = %(session)s AND (t.opened_at, t.stream_key) > (%(after_at)s, %(after_key)s::uuid)
ORDER BY t.opened_at, t.stream_key LIMIT %(limit)s
