"""Facts: what passed in one exchange, said by the worker that saw it. The spool's vocabulary.

A spool line is a JSON array of facts that became complete together. Times named `at_us` are
microseconds (CLOCK_MONOTONIC) since the exchange opened; `wall_us` is Unix time in microseconds.
`exchange` is a sequence number within one worker's life (the stream, named in the segment header).
Everything here has passed the capture policy: no raw secret is in a fact.
gc=False: a fact can be part of no cycle, and the collector need not walk the thousands that wait to be written.
"""

import uuid

import msgspec


class _Fact(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="fact"):
    exchange: int


class Opened(_Fact, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="opened"):
    """The request head of an HTTP exchange on an MCP path. First of its exchange, always."""

    wall_us: int
    mono_us: int
    http_method: str
    transport: str = "http"  # http (Streamable HTTP), sse (GET /sse), messages (POST of HTTP+SSE)
    session: uuid.UUID | None = None  # keyed hash of Mcp-Session-Id or of the endpoint URL's session_id
    session_source: str | None = None  # header | endpoint
    session_id: str | None = None  # raw, only where asked for
    protocol_version: str | None = None  # MCP-Protocol-Version header
    principal: str | None = None  # only where configured
    principal_key: bytes | None = None
    client_addr: str | None = None
    user_agent: str | None = None
    connection: int = 0  # the client's TCP connection, numbered within the worker's life
    connection_seq: int = 0  # nth exchange on that connection
    resumes: bytes | None = None  # keyed hash of Last-Event-ID
    handle: bytes | None = None  # keyed hash of the configured handle header
    proxied: bool = False  # a trusted proxy stands before us: one connection may carry many clients


class Identity(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """clientInfo or serverInfo; capabilities is JSON text."""

    name: str | None = None
    version: str | None = None
    capabilities: str | None = None


class Request(_Fact, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="request"):
    """A JSON-RPC request passed. `member` numbers the requests of an exchange from 0, server's ones from 0x800000."""

    member: int
    at_us: int
    direction: str  # who asked: client | server
    jsonrpc_id: str  # JSON form (`1` and `"1"` differ); over 64 characters: hashed
    method: str
    target: str | None = None
    size: int = 0  # bytes of the JSON-RPC message
    tokens_in: int | None = None
    args_hash: bytes | None = None
    arguments: str | None = None  # JSON text, only under --capture
    in_batch: bool = False
    protocol_version: str | None = None
    client: Identity | None = None
    trace_id: str | None = None
    parent_span_id: str | None = None
    state_hash: bytes | None = None  # MRTR: hash of requestState in a retry
    input_keys: tuple[str, ...] | None = None  # MRTR: keys answered (sorted)
    task: bytes | None = None  # hash of the task id this request is about
    wants_task: bool = False  # 2025-11-25: the `task` param asks for a task
    handle: bytes | None = None  # keyed hash of the configured handle argument
    flags: tuple[str, ...] = ()


class ToolShown(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One tool as tools/list showed it."""

    tool: str
    content_hash: bytes
    schema_hash: bytes
    description: str | None = None
    tokens: int = 0


class Answer(_Fact, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="answer"):
    """A JSON-RPC response passed. `member` is None when it answers no request of this exchange."""

    at_us: int
    direction: str  # who had asked the request this answers: client | server
    jsonrpc_id: str
    member: int | None = None
    outcome: str = "ok"  # ok | tool_error | rpc_error | input_required | http_error (a JSON-RPC error that names no
    # request, under a failing status: the transport refused, as with a lost session)
    error_code: int | None = None
    error_message: str | None = None
    size: int = 0  # bytes of the JSON-RPC message
    tokens_out: int | None = None
    result: str | None = None  # JSON text, only under --capture
    progress_count: int = 0
    server: Identity | None = None
    protocol_version: str | None = None  # negotiated by initialize
    session: uuid.UUID | None = None  # assigned by the response that carries an initialize result
    session_id: str | None = None
    state_hash: bytes | None = None  # MRTR: hash of requestState handed out
    input_keys: tuple[str, ...] | None = None  # MRTR: keys asked for (sorted)
    task: bytes | None = None  # hash of a task id handed out
    task_status: str | None = None  # working | input_required | completed | failed | cancelled
    task_outcome: str | None = None  # of the work, where its end is in this answer: ok | tool_error | rpc_error
    tools: tuple[ToolShown, ...] | None = None


class TaskSeen(_Fact, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="task"):
    """notifications/tasks (extension) or notifications/tasks/status (2025-11-25) passed."""

    at_us: int
    direction: str  # whose request the task works on: client | server
    task: bytes
    task_status: str | None = None
    task_outcome: str | None = None


class Assigned(_Fact, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="assigned"):
    """The server named the session of this exchange outside an initialize answer: HTTP+SSE's `endpoint` event.

    With source `header`: the response to an `initialize` whose answer has not come in this exchange.
    """

    at_us: int
    session: uuid.UUID
    session_source: str = "endpoint"  # endpoint | header
    session_id: str | None = None  # raw, only where asked for


class Cancel(_Fact, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="cancel"):
    """notifications/cancelled passed; `direction` is who had asked the request it cancels."""

    at_us: int
    direction: str
    jsonrpc_id: str


class EventIds(_Fact, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="event_ids"):
    """Keyed hashes of event ids seen on this stream since the last such fact (at most 256)."""

    ids: tuple[bytes, ...]


class Closed(_Fact, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="closed"):
    """The exchange is over. Last of its exchange, always."""

    at_us: int
    closed_by: str  # complete | client | upstream | drain
    status: int | None = None  # what the client was sent; None when nothing was
    response_kind: str = "none"  # json | sse | none
    upstream_error: str | None = None  # connect | timeout | reset | protocol: then `status` is ours
    first_byte_us: int | None = None
    first_event_us: int | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    events: int = 0
    notifications: int = 0  # messages that are neither request nor response
    progress_count: int = 0
    stall_us: int = 0
    overhead_us: int = 0
    flags: tuple[str, ...] = ()  # malformed, oversized, undecoded, header_mismatch, probe, notification_only


class Heartbeat(_Fact, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="heartbeat"):
    """The stream was alive at this wall time; `exchange` is the next number to be given."""

    wall_us: int


Fact = Opened | Request | Answer | TaskSeen | Assigned | Cancel | EventIds | Closed | Heartbeat
Line = list[Fact]


def request_key(stream: uuid.UUID, exchange: int, member: int) -> uuid.UUID:
    """UUIDv8 of (stream, exchange, member): the same however often the line is read."""
    value = ((stream.int >> 70) << 64) | ((exchange & 0xFF_FFFF_FFFF) << 24) | (member & 0xFF_FFFF)
    value &= ~(0xF000 << 64) & ~(0xC000 << 48)
    value |= (0x8000 << 64) | (0x8000 << 48)
    return uuid.UUID(int=value)
