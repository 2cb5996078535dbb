-- The newest version of each tool that tools/list showed and that was still shown in the window.
SELECT DISTINCT ON (service, tool) service, tool, tokens, last_seen
FROM weir.catalog_rows
WHERE last_seen >= %(since)s AND first_seen < %(until)s AND (%(service)s::text IS NULL OR service = %(service)s)
    AND (%(tool)s::text IS NULL OR tool = %(tool)s)
ORDER BY service, tool, first_seen DESC
