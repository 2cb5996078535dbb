(SELECT *, (direction = 'client' AND method = 'tools/call') AS is_call FROM weir.rolled(%(since)s, %(until)s)) AS w
        WHERE {_rollup_filter}
