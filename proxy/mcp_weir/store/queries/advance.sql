-- Moves a segment's position; no row means that somebody else has moved it: then nothing may be written.
INSERT INTO weir.segments AS s (segment, stream, offset_bytes, done)
VALUES (%(segment)s, %(stream)s, %(new)s, %(done)s)
ON CONFLICT (segment) DO UPDATE SET offset_bytes = excluded.offset_bytes, done = excluded.done, updated_at = now()
WHERE s.offset_bytes = %(old)s AND NOT s.done
