"""From an exchange to the row of each request: outcome, times, identity. Pure.

Outcomes follow the layers of failure: connection, HTTP status, JSON-RPC error, tool error.
"""

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta

from mcp_weir.attribution.state import ExchangeState
from mcp_weir.traffic.facts import Answer, Closed, Request, request_key
from mcp_weir.traffic.labels import label

MODERN = "2026-07-28"
ERRORS = frozenset({"tool_error", "rpc_error", "http_error", "upstream_aborted", "interrupted", "no_answer"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NEW_YEAR_2200_US = 7_258_118_400_000_000


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A final row of weir.request_rows; field names are its columns, in order."""

    request_key: uuid.UUID
    service: str
    instance: str
    session_key: uuid.UUID | None
    started_at: datetime
    direction: str
    method: str | None
    target: str | None
    jsonrpc_id: str | None
    outcome: str
    http_method: str
    http_status: int | None
    error_code: int | None
    error_message: str | None
    duration_ms: float | None
    first_byte_ms: float | None
    first_event_ms: float | None
    end_ms: float | None
    client_stall_ms: float | None
    overhead_us: float | None
    response_kind: str
    request_bytes: int
    response_bytes: int
    tokens_in: int | None
    tokens_out: int | None
    progress_count: int
    operation_key: uuid.UUID
    batch_key: uuid.UUID | None
    args_hash: bytes | None
    arguments: str | None
    result: str | None
    flags: list[str]
    trace_id: str | None
    parent_span_id: str | None
    era: str
    protocol_version: str | None
    client_name: str | None
    client_version: str | None
    principal_key: bytes | None
    remote_addr: str | None
    user_agent: str | None
    stream: uuid.UUID
    connection: int
    key_id: str
    client_label: str | None


COLUMNS = tuple(field.name for field in dataclasses.fields(Row))


def wall(us: int) -> datetime:
    """Unix microseconds to an aware datetime; a clock beyond 2200 is held there, not raised on."""
    return _EPOCH + timedelta(microseconds=max(0, min(us, _NEW_YEAR_2200_US)))


def era_of(version: str | None, state: ExchangeState) -> str:
    """legacy | modern | unknown, by the revision spoken, else by the presence of a session."""
    if version:
        return "modern" if version >= MODERN else "legacy"
    return "legacy" if state.session is not None else "unknown"


def version_of(state: ExchangeState, request: Request | None, answer: Answer | None) -> str | None:
    """The revision in force: negotiated, else said in the body, else in the header."""
    said = (answer.protocol_version if answer else None) or (request.protocol_version if request else None)
    return said or state.opened.protocol_version


def outcome_of(state: ExchangeState, request: Request, answer: Answer | None) -> str | None:
    """The outcome of a finished exchange's request; None while its answer may still come elsewhere."""
    if answer is not None:
        return answer.outcome
    if request.member in state.cancelled:
        return "cancelled"
    closed = state.closed
    if closed is None:
        return "interrupted"
    if closed.upstream_error or (closed.status or 0) >= 400:
        return "http_error"
    if closed.closed_by == "upstream":
        return "upstream_aborted"
    if _answered_elsewhere(state, request, closed):
        return None
    if closed.closed_by == "client":
        modern = era_of(version_of(state, request, None), state) == "modern"
        return "cancelled" if modern else "client_aborted"
    return "interrupted" if closed.closed_by == "drain" else "no_answer"


def _answered_elsewhere(state: ExchangeState, request: Request, closed: Closed) -> bool:
    """Only where the protocol says so: a server's request, HTTP+SSE, a stream that can be resumed."""
    if state.session is None:
        return False
    if request.direction == "server" or state.opened.transport == "messages":
        return True
    return state.resumable and closed.closed_by in ("complete", "client", "drain")


def row_of(state: ExchangeState, request: Request | None, outcome: str) -> Row:
    """The row of one request (or, with None, of an exchange that carried none)."""
    opened, closed, origin = state.opened, state.closed, state.origin
    member = request.member if request else 0
    answer = state.answers.get(member) if request else None
    version = version_of(state, request, answer)
    asked_us = request.at_us if request and request.direction == "server" else 0
    key = request_key(origin.stream, opened.exchange, member)
    alone = request is None or (len(state.requests) == 1)
    name, release = (request.client.name, request.client.version) if request and request.client else (None, None)
    return Row(
        request_key=key,
        service=origin.service,
        instance=origin.instance,
        session_key=state.session,
        started_at=wall(opened.wall_us + asked_us),
        direction=request.direction if request else "client",
        method=request.method if request else None,
        target=request.target if request else None,
        jsonrpc_id=request.jsonrpc_id if request else None,
        outcome=outcome,
        http_method=opened.http_method,
        http_status=closed.status if closed else None,
        error_code=answer.error_code if answer else None,
        error_message=(answer.error_message if answer else None) or _transport_error(closed),
        duration_ms=_duration_ms(state, member, answer, asked_us),
        first_byte_ms=_ms(closed.first_byte_us) if closed else None,
        first_event_ms=_ms(closed.first_event_us) if closed else None,
        end_ms=_ms(closed.at_us) if closed else None,
        client_stall_ms=_ms(closed.stall_us) if closed else None,
        overhead_us=float(closed.overhead_us) if closed else None,
        response_kind=closed.response_kind if closed else "none",
        request_bytes=request.size if request else (closed.request_bytes if closed else 0),
        response_bytes=answer.size if answer else (closed.response_bytes if closed and alone else 0),
        tokens_in=request.tokens_in if request else None,
        tokens_out=answer.tokens_out if answer else None,
        progress_count=answer.progress_count if answer else (closed.progress_count if closed and alone else 0),
        operation_key=key,
        batch_key=request_key(origin.stream, opened.exchange, 0xFF_FFFF) if request and request.in_batch else None,
        args_hash=request.args_hash if request else None,
        arguments=request.arguments if request else None,
        result=answer.result if answer else None,
        flags=sorted({*(request.flags if request else ()), *(closed.flags if closed else ())}),
        trace_id=request.trace_id if request else None,
        parent_span_id=request.parent_span_id if request else None,
        era=era_of(version, state),
        protocol_version=version,
        client_name=name,
        client_version=release,
        principal_key=opened.principal_key,
        remote_addr=opened.client_addr,
        user_agent=opened.user_agent,
        stream=origin.stream,
        connection=opened.connection,
        key_id=origin.key_id,
        client_label=label(name, release, opened.user_agent),
    )


def _transport_error(closed: Closed | None) -> str | None:
    return f"upstream {closed.upstream_error}" if closed and closed.upstream_error else None


def _duration_ms(state: ExchangeState, member: int, answer: Answer | None, asked_us: int) -> float | None:
    if member in state.answered_us:
        return _ms(max(0, state.answered_us[member] - state.opened.mono_us - asked_us))
    if answer is not None:
        return _ms(max(0, answer.at_us - asked_us))
    return _ms(max(0, state.closed.at_us - asked_us)) if state.closed else None


def _ms(us: int | None) -> float | None:
    return None if us is None else us / 1000
