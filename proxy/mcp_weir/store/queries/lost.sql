-- Minutes of the window in which exchanges were dropped.
SELECT DISTINCT minute AS at FROM weir.coverage_rows
WHERE minute >= %(since)s AND minute < %(until)s AND dropped <> '{{}}'
    AND (%(service)s::text IS NULL OR service = %(service)s)
