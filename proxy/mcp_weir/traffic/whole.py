"""Spool lines that hold a whole, plain exchange: one POST with one request of the client and its answer, or with none.

Most lines are such, and need none of the joins. What may be in them is listed here; a line with any other field,
value or fact is no whole line, which the decoder finds out by itself: a field that somebody adds to the facts goes
the general way until it is listed. Fields mean what they mean in traffic.facts.
"""

from typing import Annotated, Literal

import msgspec

from mcp_weir.traffic.facts import Identity


class _Listed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, tag_field="fact"):
    exchange: int


class PlainOpened(_Listed, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, tag="opened"):
    """No resumption, and Streamable HTTP. The session is left as text: UUIDs are slow to make and to look up."""

    wall_us: Annotated[int, msgspec.Meta(ge=0, lt=4_102_444_800_000_000)]
    http_method: Literal["POST"]
    mono_us: int = 0
    session: str | None = None
    session_source: Literal["header"] | None = None
    session_id: str | None = None
    protocol_version: str | None = None
    principal: str | None = None
    principal_key: bytes | None = None
    client_addr: str | None = None
    user_agent: str | None = None
    connection: int = 0
    connection_seq: int = 0
    handle: bytes | None = None
    proxied: bool = False


class PlainRequest(_Listed, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, tag="request"):
    """The only one of its exchange: no batch, round or task, nothing captured, nothing odd."""

    member: Literal[0]
    direction: Literal["client"]
    jsonrpc_id: str
    method: str
    at_us: int = 0
    target: str | None = None
    size: int = 0
    tokens_in: int | None = None
    args_hash: bytes | None = None
    protocol_version: str | None = None
    client: Identity | None = None
    trace_id: str | None = None
    parent_span_id: str | None = None
    handle: bytes | None = None


class PlainAnswer(_Listed, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, tag="answer"):
    """A final answer that assigns and hands out nothing."""

    at_us: Annotated[int, msgspec.Meta(ge=0)]
    member: Literal[0]
    direction: Literal["client"]
    jsonrpc_id: str
    outcome: Literal["ok", "tool_error", "rpc_error"] = "ok"
    error_code: int | None = None
    error_message: str | None = None
    size: int = 0
    tokens_out: int | None = None
    progress_count: int = 0
    server: Identity | None = None  # modern servers name themselves in every answer; only `initialize` is asked for it


class PlainClosed(_Listed, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, tag="closed"):
    """The server took it."""

    at_us: int
    closed_by: str
    status: Annotated[int, msgspec.Meta(ge=100, lt=400)]
    response_kind: str = "none"
    first_byte_us: int | None = None
    first_event_us: int | None = None
    request_bytes: int = 0
    response_bytes: int = 0
    events: int = 0
    notifications: int = 0
    progress_count: int = 0
    stall_us: int = 0
    overhead_us: int = 0


class PlainNotified(PlainClosed, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False, tag="closed"):
    """The end of an exchange in which nothing was asked: notifications, or an answer that was taken elsewhere."""

    flags: tuple[Literal["notification_only"], ...] = ()


Whole = tuple[PlainOpened, PlainRequest, PlainAnswer, PlainClosed]
Silent = tuple[PlainOpened, PlainNotified]
_decode = msgspec.json.Decoder(Whole).decode
_decode_silent = msgspec.json.Decoder(Silent).decode


def whole(payload: bytes) -> Whole | None:
    """The four facts of a whole line; None where it is none."""
    if b"\\u0000" in payload:  # Postgres takes no NUL in a text
        return None
    try:
        line = _decode(payload)
    except msgspec.DecodeError:
        return None
    opened, request, answer, closed = line
    return line if opened.exchange == request.exchange == answer.exchange == closed.exchange else None


def silent(payload: bytes) -> Silent | None:
    """The two facts of a line that holds a whole exchange without a request; None where it is none."""
    try:
        line = _decode_silent(payload)
    except msgspec.DecodeError:
        return None
    return line if line[0].exchange == line[1].exchange else None
