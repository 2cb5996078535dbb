"""From an exchange to the row of each request: outcome, times, identity. Pure.

Outcomes follow the layers of failure: connection, HTTP status, JSON-RPC error, tool error.
"""

import dataclasses
import uuid
from datetime import UTC, datetime, timedelta

from mcp_weir.attribution.state import ExchangeState
from mcp_weir.traffic.facts import Answer, Closed, Identity, Request, request_key
from mcp_weir.traffic.labels import label

MODERN = "2026-07-28"
REDIRECTS = frozenset({301, 302, 303, 307, 308})
ERRORS = frozenset({"tool_error", "rpc_error", "http_error", "upstream_aborted", "interrupted", "no_answer"})
_CANCELLED_CODES = (0, -32800)
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
    client_label: str | None
    principal_key: bytes | None
    remote_addr: str | None
    user_agent: str | None
    stream: uuid.UUID
    connection: int
    key_id: str
    handle: bytes | None
    proxied: bool


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


def outcome_of(state: ExchangeState, request: Request) -> str | None:
    """The outcome, once the exchange is over; None while the answer may still come elsewhere."""
    answer = state.answers.get(request.member)
    if answer is not None:
        return _answered(state, request, answer)
    if request.member in state.cancelled:
        return "cancelled"
    closed = state.closed
    if closed is None:
        return "interrupted"
    if closed.upstream_error or (closed.status or 0) >= 400:
        return "ok" if _is_probe(state, request) else "http_error"
    if _answered_elsewhere(state, request, closed):
        return None
    return given_up(state, request, "")


def given_up(state: ExchangeState, request: Request, why: str) -> str:
    """The outcome where no answer will come; `why` is known where the session's stream was closed."""
    closed = state.closed
    if request.member in state.cancelled:
        return "cancelled"
    if why or closed is None:
        return why or "interrupted"
    if closed.closed_by == "client":
        modern = era_of(version_of(state, request, None), state) == "modern"
        return "cancelled" if modern else "client_aborted"
    return {"upstream": "upstream_aborted", "drain": "interrupted"}.get(closed.closed_by, "no_answer")


def may_be_cancelled(state: ExchangeState, request: Request, outcome: str) -> bool:
    """A `notifications/cancelled` in another exchange would explain this outcome: wait until it must be known.

    Servers that answer a cancelled request at all do it with an error (the Python SDK: code 0, LSP's: -32800).
    """
    if state.session is None or outcome == "cancelled" or state.closed is None or state.interrupted:
        return False
    if outcome == "rpc_error":
        return _confirms_cancel(state.answers.get(request.member))
    return outcome in ("client_aborted", "no_answer")


def redirected(state: ExchangeState) -> bool:
    """The server said where to ask (a path without its last slash, RFC 9110 15.4): nothing was asked of it yet.

    The client asks once, and where it follows, that is the request: two rows would be one too many.
    """
    return state.closed is not None and state.closed.status in REDIRECTS and not state.answers


def without_request(state: ExchangeState) -> str | None:
    """The outcome of an exchange that carried no request; None where there is nothing to tell."""
    closed = state.closed
    if closed is None:
        return None
    if "probe" in closed.flags or redirected(state) and state.requests:
        return "ok"
    if closed.upstream_error or (closed.status or 0) >= 400:
        return "http_error"
    if closed.status in (202, 204) and "malformed" in closed.flags:
        return None  # it asked for nothing, and nothing failed
    if {"malformed", "oversized", "undecoded"} & set(closed.flags):
        return "ok" if closed.closed_by == "complete" else "client_aborted"
    return "upstream_aborted" if closed.closed_by == "upstream" and closed.status is None else None


def _answered(state: ExchangeState, request: Request, answer: Answer) -> str:
    if request.member in state.cancelled and _confirms_cancel(answer):
        return "cancelled"
    if answer.outcome == "rpc_error" and _is_probe(state, request):
        return "ok"
    if request.method in ("tasks/get", "tasks/result") and answer.outcome == "ok":
        return answer.task_outcome or "ok"  # what the work came to, where this answer carries it
    return answer.outcome  # who cancels a task is answered, and is not cancelled: weir.operations says what the task is


def _confirms_cancel(answer: Answer | None) -> bool:
    return answer is not None and answer.outcome == "rpc_error" and answer.error_code in _CANCELLED_CODES


def _is_probe(state: ExchangeState, request: Request) -> bool:
    """A refused `server/discover` asks which era the server speaks; it is no error (PROTOCOL.md, attribution 7)."""
    return request.method == "server/discover" and not (state.closed and state.closed.upstream_error)


def _answered_elsewhere(state: ExchangeState, request: Request, closed: Closed) -> bool:
    """Only where the protocol says so: a server's request, HTTP+SSE, a stream that can be resumed."""
    if state.session is None:
        return False
    if request.direction == "server" or state.opened.transport == "messages":
        return True
    return state.resumable and closed.closed_by in ("complete", "client", "drain", "upstream")


def row_of(state: ExchangeState, request: Request | None, outcome: str, who: Identity | None = None) -> Row:
    """The row of one request (or, with None, of an exchange that carried none). `who`: the session's client, if known.

    A server's request shares the stream with others: nothing of the exchange's own end is told in its row.
    """
    opened, origin = state.opened, state.origin
    closed = state.closed if request is None or request.direction == "client" else None
    member = request.member if request else 0
    answer = state.answers.get(member) if request else None
    if outcome == "cancelled" and member in state.answered_us:
        answer = None  # it came too late to count; whether it was known yet depends on who read first
    version = version_of(state, request, answer)
    asked_us = request.at_us if request and request.direction == "server" else 0
    key = request_key(origin.stream, opened.exchange, member)
    alone = request is None or sum(r.direction == "client" for r in state.requests.values()) == 1
    client = (request.client if request else None) or who or Identity()
    return Row(
        request_key=key, service=origin.service, instance=origin.instance, session_key=state.session,
        started_at=wall(opened.wall_us + asked_us),
        direction=request.direction if request else "client", method=request.method if request else None,
        target=request.target if request else None, jsonrpc_id=request.jsonrpc_id if request else None,
        outcome=outcome, http_method=opened.http_method, http_status=closed.status if closed else None,
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
        operation_key=state.operations.get(member, key),
        batch_key=request_key(origin.stream, opened.exchange, 0xFF_FFFF) if request and request.in_batch else None,
        args_hash=request.args_hash if request else None, arguments=request.arguments if request else None,
        result=answer.result if answer else None,
        flags=sorted(_flags(state, request, answer, closed)),
        trace_id=request.trace_id if request else None,
        parent_span_id=request.parent_span_id if request else None,
        era=era_of(version, state), protocol_version=version,
        client_name=client.name, client_version=client.version,
        client_label=label(client.name, client.version, opened.user_agent),
        principal_key=opened.principal_key, remote_addr=opened.client_addr, user_agent=opened.user_agent,
        stream=origin.stream, connection=opened.connection, key_id=origin.key_id,
        handle=opened.handle or next((r.handle for r in state.requests.values() if r.handle is not None), None),
        proxied=opened.proxied,
    )


def _flags(
    state: ExchangeState, request: Request | None, answer: Answer | None, closed: Closed | None
) -> set[str]:
    flags = {*(request.flags if request else ()), *(closed.flags if closed else ())}
    if request is None:
        return flags
    flags |= state.flags.get(request.member, set())
    if request.member in state.cancelled and _confirms_cancel(answer):
        flags.add("late")
    refused = (closed is not None and (closed.status or 0) >= 400) or (answer and answer.outcome == "rpc_error")
    if refused and _is_probe(state, request):
        flags.add("probe")
    return flags


def _transport_error(closed: Closed | None) -> str | None:
    return f"upstream {closed.upstream_error}" if closed and closed.upstream_error else None


def _duration_ms(state: ExchangeState, member: int, answer: Answer | None, asked_us: int) -> float | None:
    """To the result, or to where the asker gave up."""
    if member in state.cancelled and (answer is None or _confirms_cancel(answer)):
        return _ms(max(0, state.cancelled[member] - asked_us))
    if member in state.answered_us:
        return _ms(max(0, state.answered_us[member] - asked_us))
    if answer is not None:
        return _ms(max(0, answer.at_us - asked_us))
    return _ms(max(0, state.closed.at_us - asked_us)) if state.closed else None


def _ms(us: int | None) -> float | None:
    return None if us is None else us / 1000
