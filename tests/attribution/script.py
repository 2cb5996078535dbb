"""Conversations as facts: a small language in which tests say what passed, exchange by exchange."""

import itertools
import time
import uuid
from typing import Any

from mcp_weir.attribution.joins import Joiner, Settled
from mcp_weir.attribution.state import Origin
from mcp_weir.traffic.facts import (
    Answer,
    Assigned,
    Cancel,
    Closed,
    EventIds,
    Heartbeat,
    Identity,
    Line,
    Opened,
    Request,
)

BASE_US = (int(time.time()) - 6 * 3600) * 1_000_000  # when each story begins
SESSION = uuid.uuid5(uuid.NAMESPACE_URL, "session")
_numbers = itertools.count(1)


class Exchange:
    """One exchange; `at` is in seconds of the story. Each method returns the line a worker would spool."""

    def __init__(self, at: float, http_method: str = "POST", *, session: uuid.UUID | None = SESSION, **opened: Any):
        self.number, self.at = next(_numbers), at
        opened.setdefault("session_source", "header" if session else None)
        self.opened = Opened(
            exchange=self.number, wall_us=BASE_US + int(at * 1e6), mono_us=int(at * 1e6), http_method=http_method,
            session=session, client_addr=opened.pop("client_addr", "127.0.0.1"), **opened,
        )
        self._members, self._asked = 0, 0

    def us(self, at: float) -> int:
        return int(round((at - self.at) * 1e6))

    def open(self) -> Line:
        return [self.opened]

    def asks(self, id: Any, method: str = "tools/call", at: float | None = None, **more: Any) -> Line:
        member, self._members = self._members, self._members + 1
        more.setdefault("target", "add" if method == "tools/call" else None)
        return [Request(exchange=self.number, member=member, at_us=self.us(at or self.at), direction="client",
                        jsonrpc_id=str(id), method=method, **more)]

    def server_asks(self, id: Any, at: float, method: str = "elicitation/create") -> Line:
        member, self._asked = 0x80_0000 + self._asked, self._asked + 1
        return [Request(exchange=self.number, member=member, at_us=self.us(at), direction="server",
                        jsonrpc_id=str(id), method=method)]

    def answers(self, id: Any, at: float, member: int | None = 0, direction: str = "client", **more: Any) -> Line:
        return [Answer(exchange=self.number, at_us=self.us(at), direction=direction, jsonrpc_id=str(id),
                       member=member, **more)]

    def cancels(self, id: Any, at: float, direction: str = "client") -> Line:
        return [Cancel(exchange=self.number, at_us=self.us(at), direction=direction, jsonrpc_id=str(id))]

    def event_ids(self, *names: str) -> Line:
        return [EventIds(exchange=self.number, ids=tuple(name.encode() for name in names))]

    def assigned(self, at: float, session: uuid.UUID = SESSION) -> Line:
        return [Assigned(exchange=self.number, at_us=self.us(at), session=session)]

    def closes(self, at: float, by: str = "complete", status: int | None = 200, **more: Any) -> Line:
        more.setdefault("response_kind", "json")
        return [Closed(exchange=self.number, at_us=self.us(at), closed_by=by, status=status, **more)]


def call(id: Any, at: float, took: float = 0.1, method: str = "tools/call", outcome: str = "ok", **opened: Any) -> Line:
    """A whole call in one line."""
    more = {name: opened.pop(name) for name in ("client", "task", "state_hash", "input_keys", "trace_id", "handle",
                                                "protocol_version", "target") if name in opened}
    answered = opened.pop("answered", {})
    status = opened.pop("status", 200)
    one = Exchange(at, **opened)
    return [*one.open(), *one.asks(id, method, **more), *one.answers(id, at + took, outcome=outcome, **answered),
            *one.closes(at + took, status=status)]


def initialize(at: float, session: uuid.UUID | None = SESSION, name: str = "c", **opened: Any) -> Line:
    """A successful initialize that was given this session."""
    one = Exchange(at, session=None, **opened)
    client = Identity(name=name, version="1")
    return [*one.open(), *one.asks(0, "initialize", client=client, protocol_version="2025-11-25"),
            *one.answers(0, at + 0.01, session=session, server=Identity(name="srv", version="2"),
                         protocol_version="2025-11-25"),
            *one.closes(at + 0.01)]


def origin(worker: int = 0, boot: str = "boot") -> Origin:
    return Origin(uuid.UUID(int=(0xABC + worker) << 80), "svc", f"i{worker}", "k", boot)


def heartbeat(at: float) -> Line:
    return [Heartbeat(exchange=0, wall_us=BASE_US + int(at * 1e6))]


def joined(*lines: Line, until: float = 10_000, joiner: Joiner | None = None) -> Settled:
    """All lines in one batch, the watermark at `until` then and once more when they are stored."""
    joiner = joiner or Joiner()
    for line in lines:
        joiner.take(origin(), line)
    first = joiner.settle(BASE_US + int(until * 1e6))
    then = joiner.settle(BASE_US + int(until * 1e6))
    for name in ("rows", "ended", "posted", "handed", "claims"):
        getattr(first, name).extend(getattr(then, name))
    first.gone |= then.gone
    first.open = {ident: state for ident, state in (first.open | then.open).items() if ident not in first.gone}
    return first


def told(settled: Settled) -> list[tuple[str | None, str]]:
    """(jsonrpc id, outcome) of each row, in order of time."""
    rows = sorted((row for row, _ in settled.rows), key=lambda row: (row.started_at, row.request_key.int))
    return [(row.jsonrpc_id, row.outcome) for row in rows]
