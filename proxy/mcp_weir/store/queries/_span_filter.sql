(%(service)s::text IS NULL OR service = %(service)s) AND (%(name)s::text IS NULL OR {name} = %(name)s)
