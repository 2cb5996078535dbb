"""Answers of our own: refusals as text, a dead upstream as a JSON-RPC error where JSON-RPC was spoken."""

import http

import msgspec

from mcp_weir.errors import UpstreamFault
from mcp_weir.wire.encoding import decode
from mcp_weir.wire.jsonrpc import read_messages


class _Data(msgspec.Struct):
    kind: str


class _Error(msgspec.Struct):
    code: int
    message: str
    data: _Data


class _Response(msgspec.Struct):
    jsonrpc: str
    id: msgspec.Raw
    error: _Error


def plain(status: int, why: str) -> bytes:
    """A whole response: text, and the connection is closed after it."""
    return _whole(status, b"text/plain; charset=utf-8", f"mcp-weir: {why}\n".encode())


def bad_gateway(fault: UpstreamFault, body: bytes, coding: str, limit: int) -> bytes:
    """502. JSON-RPC -32000 with the request's own id where `body` was one request; text where it was no JSON-RPC."""
    read = decode(body, coding.encode("latin-1", "replace"), limit) if body else None
    found = read_messages(read or b"")
    if not found.members:
        return _whole(502, b"text/plain; charset=utf-8", f"mcp-weir: {fault} ({fault.kind})\n".encode())
    message, kind, _ = found.members[0]
    named = message.id if kind == "request" and not found.batch else msgspec.Raw(b"null")
    error = _Error(-32000, f"mcp-weir: {fault} ({fault.kind})", _Data(fault.kind))
    return _whole(502, b"application/json", msgspec.json.encode(_Response("2.0", named, error)))


def _whole(status: int, kind: bytes, body: bytes) -> bytes:
    reason = http.HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        status, reason, kind, len(body), body,
    )
