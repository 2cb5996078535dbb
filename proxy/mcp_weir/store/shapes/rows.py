"""Requests, streams and sessions, and one of each whole. Pure."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mcp_weir.store.shapes.figures import Share


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRow:
    """A row of weir.requests as lists show it; `layer` and `fault` are None unless it failed."""

    request_key: UUID
    started_at: datetime
    service: str
    instance: str
    session_key: UUID | None
    direction: str
    method: str | None
    target: str | None
    jsonrpc_id: str | None
    outcome: str
    is_error: bool
    layer: str | None
    fault: str | None
    http_method: str | None
    http_status: int | None
    error_code: int | None
    error_message: str | None
    duration_ms: float | None
    first_byte_ms: float | None
    first_event_ms: float | None
    end_ms: float | None
    client_stall_ms: float | None
    overhead_us: float | None
    response_kind: str | None
    request_bytes: int | None
    response_bytes: int | None
    tokens_in: int | None
    tokens_out: int | None
    progress_count: int | None
    operation_key: UUID | None
    batch_key: UUID | None
    flags: tuple[str, ...]
    era: str | None
    protocol_version: str | None
    client_name: str | None
    client_version: str | None
    client_label: str | None
    principal_key: str | None  # hex


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestDetail:
    """One request with what lists leave out, and all rounds of its operation where there are several."""

    row: RequestRow
    args_hash: str | None
    arguments: str | None  # JSON text, only where captured
    result: str | None
    trace_id: str | None
    parent_span_id: str | None
    remote_addr: str | None
    user_agent: str | None
    rounds: tuple[RequestRow, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamRow:
    """A row of weir.streams; `duration_ms` runs to now while it is open."""

    stream_key: UUID
    service: str
    instance: str
    session_key: UUID | None
    kind: str
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    events: int
    bytes: int
    resumed_from: UUID | None
    duration_ms: float
    client_label: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionSummary:
    """A row of weir.sessions. A ghost called nothing, and is over or long silent."""

    session_key: UUID
    service: str
    instance: str
    source: str
    confidence: float
    era: str
    session_id: str | None
    client_name: str | None
    client_version: str | None
    client_label: str | None
    user_agent: str | None
    protocol_version: str | None
    server_name: str | None
    server_version: str | None
    principal: str | None
    principal_key: str | None
    remote_addr: str | None
    started_at: datetime
    last_seen_at: datetime
    ended_at: datetime | None
    status: str
    end_reason: str | None
    previous_session_key: UUID | None
    request_count: int
    tool_call_count: int
    error_count: int
    request_bytes: int
    response_bytes: int
    tokens_in: int
    tokens_out: int
    duration_ms: float
    ghost: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineItem:
    """One bar of a session's waterfall: a request in either direction or a standing stream.

    `offset_ms` counts from the session's start, `length_ms` is to the end of the exchange (None: still running);
    `round` numbers the rounds of one operation from 1, 0 where an operation is one request.
    """

    kind: str  # request | server_request | failure | stream
    at: datetime
    offset_ms: float
    length_ms: float | None
    label: str
    is_error: bool
    round: int = 0
    request: RequestRow | None = None
    stream: StreamRow | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDetail:
    """One session with a page of its timeline in time order, and the sessions before and after it."""

    session: SessionSummary
    client_capabilities: str | None  # JSON text
    timeline: tuple[TimelineItem, ...]
    next: str | None  # cursor of the timeline
    total_ms: float
    predecessor: SessionSummary | None
    successor: SessionSummary | None
    tools: tuple[Share, ...]  # what it called, most first
    context_tokens: int  # tools/list answers that this session was sent
