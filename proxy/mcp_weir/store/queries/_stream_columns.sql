t.stream_key, t.service, t.instance, t.session_key, t.kind, t.opened_at, t.closed_at, t.closed_by, t.events, t.bytes,
    t.resumed_from, extract(epoch FROM coalesce(t.closed_at, now()) - t.opened_at)::float8 * 1000 AS duration_ms,
    coalesce(s.client_label, s.client_name) AS client_label
