-- Each tool called in the window.
WITH found AS (
    SELECT service, target, outcome, latency_bucket, true AS is_call, {_counted}
    FROM weir.rolled(%(since)s, %(until)s)
    WHERE method = 'tools/call' AND direction = 'client' AND {_rollup_filter}
    GROUP BY 1, 2, 3, 4
), ranked AS (
    SELECT service, target, latency_bucket,
        sum(sum(n)) OVER (PARTITION BY service, target ORDER BY latency_bucket) AS upto,
        sum(sum(n)) OVER (PARTITION BY service, target) AS total
    FROM found WHERE latency_bucket > -128 GROUP BY 1, 2, 3
), percentiles AS (
    SELECT service, target, {_percentiles}
    FROM ranked GROUP BY 1, 2
), counted AS (
    SELECT service, target, {_sums} FROM found GROUP BY 1, 2
)
SELECT target AS name, * FROM counted LEFT JOIN percentiles USING (service, target)
