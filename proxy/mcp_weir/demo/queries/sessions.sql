-- Recorded sessions by era.
SELECT era, count(*) FROM weir.sessions WHERE service = %s GROUP BY era;
