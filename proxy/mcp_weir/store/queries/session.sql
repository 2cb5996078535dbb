-- Sessions whose key lies between two, newest first.
SELECT {_session_columns}, s.client_capabilities::text
FROM weir.sessions s WHERE s.session_key BETWEEN %(first)s AND %(last)s
ORDER BY s.last_seen_at DESC LIMIT %(limit)s
