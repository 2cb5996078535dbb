SELECT count(*) FROM (
    SELECT FROM weir.session_rows WHERE session_key = ANY(%s::uuid[]) ORDER BY session_key FOR NO KEY UPDATE) s
