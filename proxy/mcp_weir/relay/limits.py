"""Limits of the relay: what a peer may make us hold or wait for. Bytes and seconds."""

HEAD_BYTES = 64 * 1024  # one field, and an upstream's whole head
REQUEST_HEAD_BYTES = 128 * 1024  # a request's whole head: a 64 KiB Authorization and all the rest
INFORMATIONAL = 100  # 1xx heads before one answer
HEADERS = 128  # fields in a request
READ_BYTES = 64 * 1024  # what is buffered of a request's body before its sender is paused
HOLD_BYTES = 32 * 1024  # a request of which this much at most is held until it is whole, for a moment
REST_SECONDS = 1.0  # for what a client still sends after the upstream failed: it is read for the record
POOL_SECONDS = 2.0  # an idle upstream connection; servers close theirs after 5 s (uvicorn, Node), so we are first
RESOLVED_SECONDS = 1.0  # what a name led to; a lookup for each connection would cost more than the connection
SUSPECT_SECONDS = 0.05  # idle for longer: look for a FIN that the loop has not read yet
CLIENT_IDLE_SECONDS = 75.0  # a client's connection without a request
LINGER_SECONDS = 5.0  # a refused client may still send: read on, so that a reset does not destroy our answer
SWEEP_SECONDS = 0.05
OPENED_AFTER_US = 100_000  # an exchange that still runs then is told to the spool
RESWEEP_US = 1_000_000
