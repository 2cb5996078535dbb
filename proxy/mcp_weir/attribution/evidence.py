"""What a request without a transport session shows of its conversation, and what it adds to one. Pure.

Made from the columns of a row alone, so that sessions can be derived again from what is stored.
"""

import hashlib
import re
import uuid
from functools import lru_cache
from typing import Protocol

import msgspec

from mcp_weir.attribution.sessions import CALLS
from mcp_weir.attribution.verdicts import ERRORS
from mcp_weir.traffic.facts import Answer, Identity, Opened, Request

_COUNTER = re.compile(r'"?(.{0,48}?)(\d{1,9})"?')
_HEX_ID = re.compile(r'"?[0-9a-fA-F]{8}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{4}-?[0-9a-fA-F]{12}"?')


class RowLike(Protocol):
    """The columns of weir.request_rows that are evidence."""

    @property
    def request_key(self) -> uuid.UUID: ...
    @property
    def service(self) -> str: ...
    @property
    def instance(self) -> str: ...
    @property
    def session_key(self) -> uuid.UUID | None: ...
    @property
    def direction(self) -> str: ...
    @property
    def method(self) -> str | None: ...
    @property
    def jsonrpc_id(self) -> str | None: ...
    @property
    def outcome(self) -> str: ...
    @property
    def http_status(self) -> int | None: ...
    @property
    def end_ms(self) -> float | None: ...
    @property
    def request_bytes(self) -> int: ...
    @property
    def response_bytes(self) -> int: ...
    @property
    def tokens_in(self) -> int | None: ...
    @property
    def tokens_out(self) -> int | None: ...
    @property
    def flags(self) -> list[str]: ...
    @property
    def trace_id(self) -> str | None: ...
    @property
    def era(self) -> str: ...
    @property
    def protocol_version(self) -> str | None: ...
    @property
    def client_name(self) -> str | None: ...
    @property
    def client_version(self) -> str | None: ...
    @property
    def client_label(self) -> str | None: ...
    @property
    def principal_key(self) -> bytes | None: ...
    @property
    def remote_addr(self) -> str | None: ...
    @property
    def user_agent(self) -> str | None: ...
    @property
    def stream(self) -> uuid.UUID: ...
    @property
    def connection(self) -> int: ...
    @property
    def handle(self) -> bytes | None: ...
    @property
    def proxied(self) -> bool: ...


class Who(msgspec.Struct, frozen=True, array_like=True):
    """Who asked, as the first request of a conversation says it; the columns of weir.session_rows."""

    service: str
    instance: str
    era: str
    protocol_version: str | None
    client_name: str | None
    client_version: str | None
    client_label: str | None
    user_agent: str | None
    principal_key: bytes | None
    remote_addr: str | None


class Asked(msgspec.Struct, frozen=True, array_like=True):
    """The evidence of one request."""

    key: uuid.UUID
    at_us: int
    lane: bytes  # of one client's name, version and agent: conversations never join across lanes
    known: bool  # something is known of the client beyond its address
    handle: bytes | None
    jsonrpc_id: str
    begins: bool  # `server/discover` or `initialize`
    connection: bytes | None  # None where one connection may carry many clients
    trace: str | None
    who: Who


class Said(msgspec.Struct, frozen=True, array_like=True):
    """What an exchange said beyond the columns of its row: of the client, of whoever it acts for, of the server."""

    capabilities: str | None = None
    principal: str | None = None
    server: tuple[str | None, str | None] | None = None  # name, version


class Counted(msgspec.Struct, frozen=True, array_like=True):
    """What a final row adds to its session."""

    ended_us: int
    accepted: bool
    counts: tuple[int, int, int, int, int, int, int, int]  # in the order of COUNTED
    said: Said | None = None


COUNTED = ("request_count", "tool_call_count", "call_count", "error_count", "request_bytes", "response_bytes",
           "tokens_in", "tokens_out")


def lead_key(key: uuid.UUID) -> uuid.UUID:
    """The first client request of the same exchange: what else is in the exchange goes with it."""
    return uuid.UUID(int=key.int & ~0xFF_FFFF)


def belongs(row: RowLike) -> bool:
    """A row that a derived session is made of: no transport session, no probe, no refused `initialize`."""
    if row.session_key is not None or row.method is None or "probe" in row.flags:
        return False
    return row.method != "initialize" or row.outcome == "ok"


def scope_of(row: RowLike) -> bytes:
    """Evidence is weighed within a scope and never beyond: a principal; where none is known, a handle or an address."""
    if row.principal_key is not None:
        return principals_scope(row.service, row.principal_key)
    if row.handle is not None:
        whose = b"handle", row.handle
    else:
        whose = b"address", (row.remote_addr or "").encode()
    return _digest(row.service.encode(), *whose)


def principals_scope(service: str, principal_key: bytes) -> bytes:
    """The scope that is one principal's and nobody else's."""
    return _digest(service.encode(), b"principal", principal_key)


def asked_of(row: RowLike, at_us: int) -> Asked:
    """The evidence of a row."""
    names = (row.client_name, row.client_version, row.user_agent)
    alone = row.proxied or not row.connection
    return Asked(
        key=row.request_key, at_us=at_us, lane=_digest(*(repr(name).encode() for name in names)),
        known=any(names) or row.principal_key is not None, handle=row.handle, jsonrpc_id=row.jsonrpc_id or "",
        begins=row.method in ("server/discover", "initialize"),
        connection=None if alone else row.stream.bytes[:8] + row.connection.to_bytes(8, "big", signed=True),
        trace=row.trace_id,
        who=Who(row.service, row.instance, row.era, row.protocol_version, row.client_name, row.client_version,
                row.client_label, row.user_agent, row.principal_key, row.remote_addr),
    )


def said_of(opened: Opened, request: Request | None, answer: Answer | None) -> Said | None:
    """What these facts say; None where that is nothing."""
    return said_by(request.client if request else None, opened.principal, answer.server if answer else None)


def said_by(client: Identity | None, principal: str | None, server: Identity | None) -> Said | None:
    """The same, of its parts."""
    capabilities = client.capabilities if client else None
    if capabilities is None and principal is None and server is None:
        return None
    return Said(capabilities, principal, (server.name, server.version) if server else None)


def counted_of(row: RowLike, at_us: int, said: Said | None = None) -> Counted:
    """What a final row adds."""
    client = row.direction == "client"
    ended_us = at_us + round((row.end_ms or 0) * 1000)
    return Counted(ended_us, row.http_status is not None and row.http_status < 400 and row.outcome != "http_error", (
        1, int(client and row.method == "tools/call"), int(client and row.method in CALLS), int(row.outcome in ERRORS),
        row.request_bytes, row.response_bytes, row.tokens_in or 0, row.tokens_out or 0), said)


@lru_cache(maxsize=65_536)
def counter(jsonrpc_id: str) -> tuple[str, int] | None:
    """(style, number) of an id that counts: `7`, `"7"`, `"req-7"`; None for a UUID or other text.

    The style keeps the JSON form and whatever stands before the number, which may tell clients apart by itself.
    """
    if _HEX_ID.fullmatch(jsonrpc_id):
        return None
    found = _COUNTER.fullmatch(jsonrpc_id)
    if found is None:
        return None
    return ('"' if jsonrpc_id.startswith('"') else "") + found[1], int(found[2])


def _digest(*parts: bytes) -> bytes:
    return hashlib.blake2b(b"".join(b"%d:%b" % (len(p), p) for p in parts), digest_size=16).digest()
