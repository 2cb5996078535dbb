-- Sessions begun in the window by era and step.
SELECT date_bin(%(grain)s, started_at, timestamptz '1970-01-01 00:00:00+00') AS at,
    count(*) FILTER (WHERE era = 'legacy') AS legacy, count(*) FILTER (WHERE era = 'modern') AS modern,
    count(*) FILTER (WHERE era NOT IN ('legacy', 'modern')) AS unknown
FROM weir.sessions
WHERE started_at >= %(since)s AND started_at < %(until)s
    AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (%(client)s::text IS NULL OR coalesce(client_label, client_name, '') = %(client)s)
GROUP BY 1 ORDER BY 1
