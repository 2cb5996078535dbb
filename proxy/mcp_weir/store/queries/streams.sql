-- Streams opened in the window, newest first from a cursor on.
SELECT {_stream_columns}
FROM weir.stream_rows t LEFT JOIN weir.session_rows s USING (session_key)
WHERE t.opened_at >= %(since)s AND t.opened_at < %(until)s
    AND (%(service)s::text IS NULL OR t.service = %(service)s)
    AND (%(client)s::text IS NULL OR coalesce(s.client_label, s.client_name, '') = %(client)s)
    AND (%(session)s::uuid IS NULL OR t.session_key = %(session)s)
    AND (%(kind)s::text IS NULL OR t.kind = %(kind)s)
    AND (%(status)s::text IS NULL OR (t.closed_at IS NULL) = (%(status)s = 'open'))
    AND (%(after_at)s::timestamptz IS NULL OR (t.opened_at, t.stream_key) < (%(after_at)s, %(after_key)s::uuid))
ORDER BY t.opened_at DESC, t.stream_key DESC LIMIT %(limit)s
