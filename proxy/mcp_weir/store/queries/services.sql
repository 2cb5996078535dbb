-- Distinct services, by skipping from one to the next through an index; and those that so far made no session.
WITH RECURSIVE found AS (
    (SELECT service FROM weir.session_rows ORDER BY service LIMIT 1)
    UNION ALL
    SELECT (SELECT s.service FROM weir.session_rows s WHERE s.service > f.service ORDER BY s.service LIMIT 1)
    FROM found f WHERE f.service IS NOT NULL
)
SELECT service FROM found WHERE service IS NOT NULL
UNION
SELECT service FROM weir.coverage_rows WHERE minute > now() - interval '1 hour'
ORDER BY 1
