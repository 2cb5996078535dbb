-- Of several reasons the surest; what is void, since the session was heard of afterwards, only where there is no other.
UPDATE weir.session_rows s SET ended_at = e.at, end_reason = e.reason
FROM (
    SELECT DISTINCT ON (n.session_key) n.session_key, n.at, n.reason
    FROM weir.session_ends n JOIN weir.session_rows h USING (session_key) WHERE n.session_key = ANY(%s)
    ORDER BY n.session_key, n.reason <> 'transport_closed' AND h.last_seen_at > n.at,
        array_position(ARRAY['client_delete', 'lost', 'replaced', 'transport_closed'], n.reason)
) e
WHERE e.session_key = s.session_key AND (s.ended_at, s.end_reason) IS DISTINCT FROM (e.at, e.reason)
