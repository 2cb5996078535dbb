INSERT INTO weir.session_ends AS e (session_key, reason, at, closed_by, stream, connection)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::text[], %s::uuid[], %s::bigint[])
ORDER BY 1, 2
ON CONFLICT (session_key, reason) DO UPDATE SET
    at = CASE WHEN e.reason = 'lost' THEN greatest(e.at, excluded.at) ELSE least(e.at, excluded.at) END,
    closed_by = CASE WHEN excluded.at < e.at THEN excluded.closed_by ELSE e.closed_by END,
    stream = CASE WHEN excluded.at < e.at THEN excluded.stream ELSE e.stream END,
    connection = CASE WHEN excluded.at < e.at THEN excluded.connection ELSE e.connection END
