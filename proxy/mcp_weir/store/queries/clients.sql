-- Each client that asked something in the window.
WITH found AS (
    SELECT client, (method = 'tools/call' AND direction = 'client') AS is_call, outcome, latency_bucket, {_counted}
    FROM weir.rolled(%(since)s, %(until)s) WHERE {_rollup_filter}
    GROUP BY 1, 2, 3, 4
), ranked AS (
    SELECT client, latency_bucket, sum(sum(n)) OVER (PARTITION BY client ORDER BY latency_bucket) AS upto,
        sum(sum(n)) OVER (PARTITION BY client) AS total
    FROM found WHERE is_call AND latency_bucket > -128 GROUP BY 1, 2
), percentiles AS (
    SELECT client, {_percentiles}
    FROM ranked GROUP BY 1
), counted AS (
    SELECT client, {_sums} FROM found GROUP BY 1
)
SELECT client AS name, * FROM counted LEFT JOIN percentiles USING (client)
