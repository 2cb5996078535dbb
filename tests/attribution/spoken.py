"""Exchanges as bytes, read as the relay reads them: for stories in which the form of what is said matters."""

import uuid
from typing import Any

from mcp_weir.keys import Keys
from mcp_weir.traffic.exchange import Exchange, RequestHead
from mcp_weir.traffic.facts import Line
from mcp_weir.traffic.reading import Reading

from .script import BASE_US, joined

KEYS = Keys(b"k" * 32, "s")
READING = Reading(KEYS)
JSON, SSE = b"application/json", b"text/event-stream"
_KINDS = {"json": JSON, "sse": SSE, "none": b""}


class Story:
    """Exchanges of one client connection; each call adds one that begins at `at` seconds."""

    def __init__(self) -> None:
        self.lines: list[Line] = []

    def post(self, at: float, body: str | bytes, answer: str | bytes = b"", kind: str = "json", **more: Any) -> None:
        self.exchange("POST", at, body, answer, kind, **more)

    def get(self, at: float, answer: str | bytes, after: str | None = None, **more: Any) -> None:
        headers = ((b"Last-Event-ID", after.encode()),) if after else ()
        self.exchange("GET", at, b"", answer, "sse", headers=headers, **more)

    def exchange(
        self, method: str, at: float, body: str | bytes, answer: str | bytes, kind: str, *, status: int = 200,
        session: str | None = "s", gives: str | None = None, headers: tuple[tuple[bytes, bytes], ...] = (),
        took: float = 0.1, by: str = "complete", path: str = "/mcp",
    ) -> None:
        """The answer comes after half of `took`; a str is sent as UTF-8."""
        sent, got = (one.encode() if isinstance(one, str) else one for one in (body, answer))
        named = ((b"Mcp-Session-Id", session.encode()),) if session else ()
        path, _, query = path.partition("?")
        head = RequestHead(method, path, query, (*named, *headers), "127.0.0.1", 1, 0)
        exchange = Exchange(READING, len(self.lines) + 1, head, BASE_US + int(at * 1e6), int(at * 1e6))
        if sent:
            exchange.request_chunk(sent, int(at * 1e6))
        exchange.request_end(int(at * 1e6))
        answered = ((b"content-type", _KINDS[kind]),) + (((b"mcp-session-id", gives.encode()),) if gives else ())
        exchange.response_head(status, answered, int((at + took / 2) * 1e6))
        line = exchange.response_chunk(got, int((at + took / 2) * 1e6)) if got else []
        self.lines.append([*line, *exchange.close(by, int((at + took) * 1e6))])

    def rows(self) -> list[tuple[str | None, str | None, str]]:
        """(id, method or tool, outcome) of every row, in order of time."""
        return [(row.jsonrpc_id, row.target or row.method, row.outcome) for row in self.whole()]

    def whole(self) -> list[Any]:
        """All rows, in order of time."""
        found = joined(*self.lines).rows
        return sorted((row for row, _ in found), key=lambda row: (row.started_at, row.request_key.int))


def call(id: str, tool: str = "t", **params: Any) -> str:
    """A tools/call; `id` is its JSON form."""
    more = "".join(f',"{key}":{value}' for key, value in params.items())
    return f'{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"{tool}"{more}}}}}'


def result(id: str, failed: bool = False) -> str:
    """Its result."""
    return f'{{"jsonrpc":"2.0","id":{id},"result":{{"content":[],"isError":{str(failed).lower()}}}}}'


def error(id: str | None, code: int = -32602) -> str:
    """An error; None leaves the id out."""
    named = "" if id is None else f'"id":{id},'
    return f'{{"jsonrpc":"2.0",{named}"error":{{"code":{code},"message":"no"}}}}'


def event(data: str, id: str | None = None, end: str = "\n") -> str:
    """One SSE event."""
    return (f"id: {id}{end}" if id is not None else "") + f"data: {data}{end}{end}"


def session_key(name: str) -> uuid.UUID:
    """The key of a session header's value."""
    return KEYS.session_key(name.encode())
