(%(service)s::text IS NULL OR service = %(service)s)
    AND (%(outcome)s::text IS NULL OR outcome = %(outcome)s)
    AND (NOT %(errors)s::bool OR weir.is_error(outcome))
