SELECT {_session_columns} FROM weir.sessions s
WHERE s.previous_session_key = %(session)s ORDER BY s.started_at LIMIT 1
