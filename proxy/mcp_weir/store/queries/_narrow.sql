weir.totalled(%(since)s, %(until)s) WHERE {_total_filter}
