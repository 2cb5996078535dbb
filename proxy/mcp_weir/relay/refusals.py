"""Answers of our own: refusals as text, a dead upstream as a JSON-RPC error where JSON-RPC was spoken."""

import http

import msgspec

from mcp_weir.errors import UpstreamFault


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


def bad_gateway(fault: UpstreamFault, ident: bytes | None, json_rpc: bool) -> bytes:
    """502. Where JSON-RPC was asked, an error -32000 with the request's own id (null: it was no single request)."""
    text = f"mcp-weir: {fault} ({fault.kind})"
    if not json_rpc:
        return _whole(502, b"text/plain; charset=utf-8", f"{text}\n".encode())
    said = _Response("2.0", msgspec.Raw(ident or b"null"), _Error(-32000, text, _Data(fault.kind)))
    return _whole(502, b"application/json", msgspec.json.encode(said))


def _whole(status: int, kind: bytes, body: bytes) -> bytes:
    reason = http.HTTPStatus(status).phrase.encode()
    return b"HTTP/1.1 %d %b\r\nContent-Type: %b\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b" % (
        status, reason, kind, len(body), body,
    )
