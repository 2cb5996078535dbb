-- When each of these tools was last called in the window: the last hour that counted a call names the partition to look in.
SELECT n.name, n.service, c.at
FROM unnest(%(names)s::text[], %(services)s::text[]) AS n (name, service), LATERAL (
    SELECT r.started_at AS at
    FROM weir.facet_hour f, LATERAL (
        SELECT started_at FROM weir.request_rows
        WHERE method = 'tools/call' AND direction = 'client' AND target = n.name AND service = n.service
            AND started_at >= %(since)s AND started_at < %(until)s -- which of the days to plan for
            AND started_at >= f.at AND started_at < f.at + interval '1 hour'
            AND (%(client)s::text IS NULL OR coalesce(client_label, client_name, '') = %(client)s)
        ORDER BY started_at DESC LIMIT 1) r
    WHERE f.facet = 'tool' AND f.name = n.name AND f.service = n.service
        AND f.at >= date_bin('1 hour', %(since)s, timestamptz '1970-01-01 00:00:00+00') AND f.at < %(until)s
    ORDER BY f.at DESC LIMIT 1) c
