INSERT INTO weir.session_ends AS e (session_key, reason, at, closed_by, stream, connection)
SELECT * FROM unnest(%s::uuid[], %s::text[], %s::timestamptz[], %s::text[], %s::uuid[], %s::bigint[])
ORDER BY 1, 2
ON CONFLICT (session_key, reason) DO UPDATE SET
    (at, closed_by, stream, connection) = ROW (excluded.at, excluded.closed_by, excluded.stream, excluded.connection)
    -- the first of each reason, but the last 404 and DELETE: what was heard of between two makes the earlier one void
    WHERE CASE WHEN e.reason IN ('lost', 'client_delete') THEN excluded.at > e.at ELSE excluded.at < e.at END
