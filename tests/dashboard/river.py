"""Traffic made of facts, at times of our choosing, recorded by the real recorder: what pages are looked at with.

    river = River(tmp_path)
    river.usual(now)
    river.drain(database_url)
"""

import dataclasses
import hashlib
import random
import threading
import time
import uuid
from datetime import datetime, timedelta
from pathlib import Path

from mcp_weir.recorder.drain import Recorder
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.traffic.facts import Answer, Closed, Identity, Opened, Request, ToolShown
from spooling import query

LEGACY, MODERN = "2025-11-25", "2026-07-28"


@dataclasses.dataclass(frozen=True, slots=True)
class Client:
    """Who calls."""

    name: str
    version: str = "1.0"
    revision: str = LEGACY
    user: str | None = None
    agent: str = "python-httpx/0.28"
    address: str = "127.0.0.1"


CLIENTS = (
    Client("claude-code", "2.1.14", LEGACY, "maria", "claude-code/2.1.14", "10.2.0.11"),
    Client("cursor-vscode", "1.9.2", LEGACY, "jonas", "Cursor/1.9.2", "10.2.0.12"),
    Client("Visual Studio Code", "1.108.0", "2025-06-18", "aiko", "vscode/1.108", "10.2.0.13"),
    Client("mcp", "2.3.0", MODERN, "nightly", "python-httpx/0.28", "10.2.0.20"),
    Client("inspector-client", "0.17.2", "2025-03-26", None, "node", "127.0.0.1"),
    Client("fastmcp", "4.1.2", MODERN, "maria", "python-httpx/0.28", "10.2.0.21"),
)
TOOLS = {
    "search_orders": 38, "get_order": 9, "refund_order": 160, "list_customers": 55, "get_customer": 12,
    "summarise_ticket": 1900, "convert_currency": 4, "track_parcel": 420, "export_report": 4200, "health": 1,
}
UNUSED = ("delete_customer", "merge_accounts", "legacy_lookup")


class River:
    """A spool that fills at any time of the past; `sent` counts what went in, by kind."""

    def __init__(self, folder: Path, *, service: str = "shop", seed: int = 7) -> None:
        self._root = folder / "spool"
        self._writer = SpoolWriter(self._root, service=service, instance="edge-1", key_id="k")
        self._random = random.Random(seed)
        self._number = 0
        self.sent = {"exchanges": 0, "calls": 0, "failed_calls": 0, "sessions": 0}

    def exchange(
        self, at: datetime, client: Client, session: uuid.UUID | None, method: str, target: str | None = None, *,
        took_ms: float = 5, outcome: str = "ok", **more: object,
    ) -> None:
        """One POST: a request and its answer. `more`: status, code, message, tools, flags, tokens, state, asked ..."""
        number, wall_us = self._next(at)
        legacy, took = client.revision != MODERN, int(took_ms * 1000)
        line: list = [self._opened(number, wall_us, client, session)]
        who = Identity(name=client.name, version=client.version) if method == "initialize" or not legacy else None
        line.append(Request(
            exchange=number, member=0, at_us=120, direction="client", jsonrpc_id=str(number), method=method,
            target=target, size=180, tokens_in=more.get("tokens", 24), client=who,
            protocol_version=client.revision if who else None, state_hash=more.get("answers"),
        ))
        if more.get("asked"):  # the server asks the client meanwhile
            line.append(Request(
                exchange=number, member=0x80_0000, at_us=took // 4, direction="server", jsonrpc_id=f'"s{number}"',
                method=str(more["asked"]), size=90,
            ))
        status = int(more.get("status", 200))
        if outcome in ("ok", "tool_error", "rpc_error", "input_required"):
            line.append(Answer(
                exchange=number, at_us=took, direction="client", jsonrpc_id=str(number), member=0, outcome=outcome,
                error_code=more.get("code"), error_message=more.get("message"), size=900,
                tokens_out=int(more.get("tokens_out", 220)), tools=more.get("tools"), state_hash=more.get("state"),
                server=Identity(name="shop-mcp", version="3.4.0") if who else None,
                protocol_version=client.revision if method == "initialize" else None,
                session=session if method == "initialize" else None,
            ))
        line.append(Closed(
            exchange=number, at_us=took + 800, closed_by=str(more.get("closed_by", "complete")), status=status or None,
            response_kind=str(more.get("kind", "json")), upstream_error=more.get("upstream_error"),
            first_byte_us=took // 3 if status else None,
            first_event_us=took // 2 if more.get("kind") == "sse" else None,
            request_bytes=180, response_bytes=int(more.get("bytes", 1400)), overhead_us=self._random.randint(90, 260),
            flags=tuple(more.get("flags", ())),
        ))
        self._writer.offer(line, wall_us // 60_000_000)
        if more.get("asked"):
            self._reply(at + timedelta(milliseconds=took_ms * 0.6), client, session, f'"s{number}"')
        if method == "tools/call":
            self.sent["calls"] += 1
            self.sent["failed_calls"] += outcome not in ("ok", "input_required")

    def _reply(self, at: datetime, client: Client, session: uuid.UUID | None, jsonrpc_id: str) -> None:
        """The client's POSTed answer to what the server asked."""
        number, wall_us = self._next(at)
        answer = Answer(exchange=number, at_us=100, direction="server", jsonrpc_id=jsonrpc_id, size=300, tokens_out=60)
        closed = Closed(exchange=number, at_us=900, closed_by="complete", status=202, request_bytes=300)
        self._writer.offer([self._opened(number, wall_us, client, session), answer, closed], wall_us // 60_000_000)

    def stream(self, at: datetime, client: Client, session: uuid.UUID, length_s: float, events: int) -> None:
        """A GET stream."""
        number, wall_us = self._next(at)
        opened = self._opened(number, wall_us, client, session, method="GET")
        closed = Closed(
            exchange=number, at_us=int(length_s * 1e6), closed_by=self._random.choice(("client", "upstream")),
            status=200, response_kind="sse", first_byte_us=900, response_bytes=events * 130, events=events,
        )
        self._writer.offer([opened, closed], wall_us // 60_000_000)

    def conversation(
        self, at: datetime, client: Client, calls: int, *, pause_s: float = 2.0, tools: dict[str, float] | None = None,
        ends: bool = True, shown: tuple[ToolShown, ...] | None = None, session: uuid.UUID | None = None,
    ) -> uuid.UUID | None:
        """A session from its start to its end; the session's key in the legacy era, None in the modern one."""
        tools = TOOLS if tools is None else tools
        legacy = client.revision != MODERN
        session = session or (uuid.UUID(int=self._random.getrandbits(128), version=4) if legacy else None)
        self.sent["sessions"] += 1
        if legacy:
            self.exchange(at, client, session, "initialize", took_ms=8, tokens_out=300)
        self.exchange(at + timedelta(milliseconds=60), client, session, "tools/list", took_ms=3, tokens_out=1400,
                      tools=shown or catalogue(tools))
        if legacy and self._random.random() < 0.5 and calls:
            opened = at + timedelta(milliseconds=70)
            self.stream(opened, client, session, pause_s * calls + 2, self._random.randint(0, 30))
        for _ in range(calls):
            at += timedelta(seconds=self._random.expovariate(1 / pause_s) + 0.02)
            at += timedelta(milliseconds=self.call(at, client, session, tools))
        if legacy and ends:
            self.end(at + timedelta(seconds=1), client, session)
        return session

    def call(self, at: datetime, client: Client, session: uuid.UUID | None, tools: dict[str, float]) -> float:
        """One tool call as it happens: mostly well. Returns how long it took."""
        target = self._random.choices(list(tools), [1 / (1 + i * 0.35) for i in range(len(tools))])[0]
        took = max(self._random.lognormvariate(0, 0.45) * tools[target], 0.4)
        dice = self._random.random()
        if target == "summarise_ticket" and dice < 0.5:
            self.exchange(at, client, session, "tools/call", target, took_ms=took, kind="sse", tokens=160,
                          tokens_out=700, asked="sampling/createMessage")
        elif dice > 0.965:
            self.exchange(at, client, session, "tools/call", target, took_ms=took, outcome="tool_error")
        elif dice > 0.955:
            self.exchange(at, client, session, "tools/call", target, took_ms=2, outcome="rpc_error", code=-32602,
                          message="Invalid params: 'order_id' is required")
        elif dice > 0.95:
            self.exchange(at, client, session, "tools/call", target, took_ms=took, outcome="http_error", status=502,
                          upstream_error="reset", kind="json")
        elif dice > 0.945:
            self.exchange(at, client, session, "tools/call", target, took_ms=took, outcome="none", status=200,
                          closed_by="client", kind="sse")
        elif client.revision == MODERN and target == "refund_order":
            state = hashlib.sha256(str(self._number).encode()).digest()
            self.exchange(at, client, session, "tools/call", target, took_ms=took, outcome="input_required",
                          state=state)
            later = at + timedelta(seconds=4)
            self.exchange(later, client, session, "tools/call", target, took_ms=took, answers=state)
        else:
            self.exchange(at, client, session, "tools/call", target, took_ms=took,
                          tokens_out=self._random.randint(40, 900), bytes=self._random.randint(300, 9000))
        return took

    def end(self, at: datetime, client: Client, session: uuid.UUID | None) -> None:
        """DELETE."""
        number, wall_us = self._next(at)
        closed = Closed(exchange=number, at_us=900, closed_by="complete", status=200)
        opened = self._opened(number, wall_us, client, session, method="DELETE")
        self._writer.offer([opened, closed], wall_us // 60_000_000)

    def usual(self, now: datetime, hours: float = 16, sessions: int = 60) -> None:
        """An ordinary server: busier and busier; ghosts; somebody there right now. (Counters keep 1,024 minutes.)"""
        for index in range(sessions):
            back = max(hours * (1 - (index + self._random.random()) / sessions) ** 1.3, 0.25)
            client = self._random.choices(CLIENTS, (8, 5, 3, 5, 1, 3))[0]
            calls = 0 if self._random.random() < 0.08 else self._random.randint(4, 60)
            self.conversation(now - timedelta(hours=back), client, calls, pause_s=4, ends=self._random.random() < 0.6)
        for client in CLIENTS[:4]:
            self.conversation(now - timedelta(seconds=240), client, 30, pause_s=3, ends=False)

    def drain(self, url: str) -> None:
        """Record everything that was spooled, until its silences are judged too; the spool is closed then."""
        self._writer.close()
        recorder, stop = Recorder(url, self._root, poll_s=0.02), threading.Event()
        thread = threading.Thread(target=recorder.run, args=(stop,))
        thread.start()
        deadline = time.monotonic() + 60
        while (any(self._root.glob("*/*.seg")) or _runs(url)) and time.monotonic() < deadline:
            time.sleep(0.05)
        stop.set()
        thread.join(30)
        assert not thread.is_alive() and not any(self._root.glob("*/*.seg")), recorder.state

    def _next(self, at: datetime) -> tuple[int, int]:
        self._number += 1
        self.sent["exchanges"] += 1
        wall_us = int(at.timestamp() * 1e6)
        self._writer.seen(wall_us // 60_000_000)
        return self._number, wall_us

    def _opened(
        self, number: int, wall_us: int, client: Client, session: uuid.UUID | None, method: str = "POST"
    ) -> Opened:
        return Opened(
            exchange=number, wall_us=wall_us, mono_us=wall_us, http_method=method, session=session,
            session_source="header" if session else None, protocol_version=client.revision,
            principal=client.user, principal_key=hashlib.sha256(client.user.encode()).digest() if client.user else None,
            client_addr=client.address, user_agent=client.agent, connection=hash(client.name) % 1000,
        )


def _runs(url: str) -> bool:
    return bool(query(url, "SELECT 1 FROM weir.requests WHERE outcome = 'running' LIMIT 1"))


def catalogue(tools: dict[str, float], description: str = "What {} does, in a sentence.") -> tuple[ToolShown, ...]:
    """tools/list of these tools and some that nobody calls."""
    return tuple(
        ToolShown(
            tool=name, content_hash=hashlib.sha256(name.encode(errors="replace")).digest(),
            schema_hash=hashlib.sha256(b"s" + name.encode(errors="replace")).digest(),
            description=description.replace("{}", name), tokens=60 + 9 * len(name),
        )
        for name in (*tools, *UNUSED)
    )
