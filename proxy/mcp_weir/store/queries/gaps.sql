-- Runs of minutes in which exchanges were dropped.
WITH lost AS (
    SELECT service, instance, minute, reason, sum(n::bigint) AS n
    FROM weir.coverage_rows, jsonb_each_text(dropped) AS d (reason, n)
    WHERE minute >= %(since)s AND minute < %(until)s AND dropped <> '{{}}' AND n::bigint > 0
        AND (%(service)s::text IS NULL OR service = %(service)s)
    GROUP BY 1, 2, 3, 4
), numbered AS (
    SELECT *, minute - interval '1 minute' * dense_rank() OVER (PARTITION BY service, instance ORDER BY minute) AS run
    FROM lost
), by_reason AS (
    SELECT service, instance, run, reason, sum(n)::bigint AS n, min(minute) AS since, max(minute) AS until
    FROM numbered GROUP BY 1, 2, 3, 4
)
SELECT service, instance, min(since) AS since, max(until) + interval '1 minute' AS until, sum(n)::bigint AS lost,
    jsonb_object_agg(reason, n) AS reasons
FROM by_reason GROUP BY service, instance, run ORDER BY 3 DESC LIMIT %(limit)s
