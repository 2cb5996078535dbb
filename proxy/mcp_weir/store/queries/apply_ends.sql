UPDATE weir.session_rows s SET ended_at = e.at, end_reason = e.reason
FROM (
    SELECT DISTINCT ON (session_key) session_key, at, reason FROM weir.session_ends WHERE session_key = ANY(%s)
    ORDER BY session_key, array_position(ARRAY['client_delete', 'replaced', 'lost', 'transport_closed'], reason)
) e
WHERE e.session_key = s.session_key AND (s.ended_at, s.end_reason) IS DISTINCT FROM (e.at, e.reason)
