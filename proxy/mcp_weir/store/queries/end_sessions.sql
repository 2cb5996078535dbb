UPDATE weir.session_rows s SET ended_at = coalesce(s.ended_at, f.at), end_reason = coalesce(s.end_reason, f.reason)
FROM unnest(%s::uuid[], %s::timestamptz[], %s::text[]) AS f (session_key, at, reason)
WHERE s.session_key = f.session_key
