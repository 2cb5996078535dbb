"""The words that a filter may be, of the columns of the public views."""

OUTCOMES = (
    "running", "ok", "tool_error", "rpc_error", "http_error", "input_required", "cancelled", "client_aborted",
    "upstream_aborted", "interrupted", "no_answer",
)
END_REASONS = ("client_delete", "idle_timeout", "lost", "replaced", "transport_closed")
LAYERS = ("connection", "http", "rpc", "tool")
FAULTS = ("client", "server", "network", "weir")
