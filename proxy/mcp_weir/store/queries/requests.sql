-- A page of requests, running ones included, from a cursor on in the order of sort.
WITH page AS (
    (SELECT {_request_columns}, {sort} AS sort_value FROM weir.request_rows r
    WHERE {_request_filter} AND {after} ORDER BY {sort} {way}, r.request_key {way} LIMIT %(limit)s)
    UNION ALL
    (SELECT {_request_columns}, {sort} FROM weir.pending_requests r
    WHERE {_request_filter} AND {after} ORDER BY {sort} {way}, r.request_key {way} LIMIT %(limit)s)
), cut AS (
    SELECT * FROM page ORDER BY sort_value {way}, request_key {way} LIMIT %(limit)s
)
SELECT f.*, d.session_key AS derived_key FROM cut f LEFT JOIN {_derived_join}
ORDER BY f.sort_value {way}, f.request_key {way}
