"""A row in OpenTelemetry's words (semantic conventions for MCP, Development). Pure; knows no SDK.

No content and no raw id: `mcp.session.id` is the keyed hash that rows carry, of sessions that the transport named, in
the legacy era alone; error messages, arguments and results stay in the database.
"""

import hashlib
from datetime import UTC, datetime, timedelta
from operator import attrgetter
from typing import NamedTuple
from uuid import UUID

from mcp_weir.attribution.verdicts import ERRORS, Row

BUCKETS_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300)
# parse error, invalid request, unknown method, invalid parameters, unknown resource: the client's doing
_CLIENTS_CODES = frozenset({-32700, -32600, -32601, -32602, -32002})
_TARGETS = {"tools/call": "gen_ai.tool.name", "prompts/get": "gen_ai.prompt.name"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Operation(NamedTuple):
    """What is kept of a row until it is sent; field names are the row's. A row may hold captured bodies, this never."""

    request_key: UUID
    operation_key: UUID
    service: str
    instance: str
    session_key: UUID | None
    started_at: datetime
    direction: str
    method: str
    target: str | None
    jsonrpc_id: str | None
    outcome: str
    http_status: int | None
    error_code: int | None
    duration_ms: float | None
    tokens_in: int | None
    tokens_out: int | None
    trace_id: str | None
    parent_span_id: str | None
    era: str
    protocol_version: str | None
    remote_addr: str | None


_values = attrgetter(*Operation._fields)


def operation_of(row: Row) -> Operation:
    """The row, without what must not be kept. For rows that have a method."""
    return Operation(*_values(row))


def error_type(said: Operation) -> str | None:
    """`error.type`; None for what is no failure of the server."""
    if said.outcome not in ERRORS:
        return None
    if said.outcome == "rpc_error" and said.error_code is not None:
        return None if said.error_code in _CLIENTS_CODES else str(said.error_code)
    if said.outcome == "http_error" and said.http_status is not None:
        return str(said.http_status)
    return said.outcome


def metric_attributes(said: Operation) -> dict[str, str]:
    """Attributes of a measurement: never a session, a request or an address."""
    found = {"mcp.method.name": said.method, "network.transport": "tcp", "network.protocol.name": "http"}
    if said.target and said.method in _TARGETS:
        found[_TARGETS[said.method]] = said.target
    if said.method == "tools/call":
        found["gen_ai.operation.name"] = "execute_tool"
    if said.protocol_version:
        found["mcp.protocol.version"] = said.protocol_version
    if said.outcome == "rpc_error" and said.error_code is not None:
        found["rpc.response.status_code"] = str(said.error_code)
    if (failed := error_type(said)) is not None:
        found["error.type"] = failed
    return found


def span_attributes(said: Operation) -> dict[str, str]:
    """Attributes of a span."""
    found = metric_attributes(said)
    found["weir.outcome"] = said.outcome
    if said.jsonrpc_id is not None:
        found["jsonrpc.request.id"] = said.jsonrpc_id
    if said.method.startswith("resources/") and said.target:
        found["mcp.resource.uri"] = said.target
    if said.session_key is not None and said.era == "legacy":
        found["mcp.session.id"] = str(said.session_key)
    if said.remote_addr:
        found["client.address"] = said.remote_addr
    return found


def span_name(said: Operation) -> str:
    """`{mcp.method.name} {target}`; a resource's URI is too many names."""
    return f"{said.method} {said.target}" if said.target and said.method in _TARGETS else said.method


def span_ids(said: Operation) -> tuple[int, int, int | None]:
    """(trace, span, parent). The client's trace where it sent one, else one for each operation: MRTR rounds share it.

    The span's id follows from the request's key, so that what is sent twice is one span.
    """
    span = int.from_bytes(hashlib.blake2b(said.request_key.bytes, digest_size=8).digest()) or 1
    trace, parent = (int(text, 16) if text else 0 for text in (said.trace_id, said.parent_span_id))
    return (trace, span, parent or None) if trace else (said.operation_key.int or 1, span, None)


def times_ns(said: Operation) -> tuple[int, int]:
    """Begin and end in Unix nanoseconds."""
    begun = (said.started_at - _EPOCH) // _MICROSECOND * 1000
    return begun, begun + round((said.duration_ms or 0) * 1e6)
