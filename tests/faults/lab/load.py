"""The load generator: makes the ids and nonces, knows what each answer must be, and remembers how each call ended."""

import asyncio
import dataclasses
import hashlib
import itertools
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterable

from faults.lab.http import LIMIT, CutShort, Head, pieces, read_body, read_head

CONNECT_S = 10.0
_nonces = itertools.count()


def expected(call_id: object, nonce: str) -> str:
    """What an honest upstream answers to this call and to no other."""
    return hashlib.sha256(f"{json.dumps(call_id)} {nonce}".encode()).hexdigest()


@dataclasses.dataclass(slots=True)
class Call:
    """One tools/call and its fate: `answered`, `wrong`, `refused` (an HTTP error) or `broken`. Times are monotonic."""

    id: object
    nonce: str
    due: float
    outcome: str = "sent"
    detail: str = ""
    began: float = 0.0
    ended: float = 0.0
    reused: bool = False  # sent on a connection that was open already: its server may just be closing it


@dataclasses.dataclass(slots=True)
class Ledger:
    """Every call made, by id. Lives in the test alone: nothing that is judged has seen it."""

    calls: dict[object, Call] = dataclasses.field(default_factory=dict)

    def ids(self, *outcomes: str) -> set[str]:
        """Ids in their JSON form, of these outcomes (of all when none is named)."""
        return {json.dumps(c.id) for c in self.calls.values() if not outcomes or c.outcome in outcomes}

    def count(self, outcome: str) -> int:
        """Calls that ended so."""
        return sum(call.outcome == outcome for call in self.calls.values())

    def latency_ms(self, quantile: float) -> float:
        """From the moment the call was due to its last byte, over the answered ones."""
        taken = sorted(c.ended - c.due for c in self.calls.values() if c.outcome == "answered")
        return 1e3 * taken[min(int(len(taken) * quantile), len(taken) - 1)] if taken else float("nan")

    def troubles(self) -> str:
        """What went wrong, for a failing test's message."""
        found = Counter((c.outcome, c.detail) for c in self.calls.values() if c.outcome != "answered")
        return str(found.most_common(5))


class Connection:
    """One client connection, kept alive between calls."""

    def __init__(self, port: int, path: str = "/mcp", headers: Iterable[tuple[str, str]] = ()) -> None:
        self._port, self._path = port, path
        self._fields = "".join(f"{name}: {value}\r\n" for name, value in headers)
        self.reader: asyncio.StreamReader | None = None
        self.writer: asyncio.StreamWriter | None = None

    @property
    def is_open(self) -> bool:
        """As far as this end knows."""
        if self.writer is None or self.reader is None:
            return False
        return not (self.writer.is_closing() or self.reader.at_eof())

    async def open(self) -> None:
        """Connect unless connected."""
        if not self.is_open:
            self.abort()
            opening = asyncio.open_connection("127.0.0.1", self._port, limit=LIMIT)
            self.reader, self.writer = await asyncio.wait_for(opening, CONNECT_S)

    async def send(self, body: bytes, *, method: str = "POST", fields: str = "") -> None:
        """One request, whole."""
        await self.open()
        assert self.writer is not None
        head = (
            f"{method} {self._path} HTTP/1.1\r\nHost: 127.0.0.1:{self._port}\r\nContent-Type: application/json\r\n"
            f"Accept: application/json, text/event-stream\r\n{self._fields}{fields}Content-Length: {len(body)}\r\n\r\n"
        )
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    async def answer(self) -> tuple[Head, bytes]:
        """The final response, whole. Raises CutShort; the connection is then gone."""
        head = await self.answer_head()
        assert self.reader is not None
        body = await read_body(self.reader, head, to_the_end=True)
        if not head.keeps_alive:
            self.abort()
        return head, body

    async def answer_head(self) -> Head:
        """The head of the final response. Raises CutShort."""
        assert self.reader is not None
        head = await read_head(self.reader)
        while head is not None and head.status < 200:
            head = await read_head(self.reader)
        if head is None:
            raise CutShort("before a head")
        return head

    async def parts(self, head: Head) -> list[bytes]:
        """The body until its clean end, as SSE events where it is a stream. Raises CutShort."""
        if head.get(b"content-type") == b"text/event-stream":
            return [event async for event in self.each_event(head)]
        assert self.reader is not None
        return [await read_body(self.reader, head, to_the_end=True)]

    def pieces(self, head: Head) -> AsyncIterator[bytes]:
        """The body as it comes. Raises CutShort."""
        assert self.reader is not None
        return pieces(self.reader, head, to_the_end=True)

    async def each_event(self, head: Head) -> AsyncIterator[bytes]:
        """SSE events one by one, as they come. Raises CutShort."""
        assert self.reader is not None
        waiting = b""
        async for piece in pieces(self.reader, head, to_the_end=True):
            *whole, waiting = (waiting + piece).split(b"\n\n")
            for event in whole:
                yield event
        if waiting:
            raise CutShort("inside an event")

    def abort(self) -> None:
        """Gone at once, with a reset where bytes are unread."""
        if self.writer is not None:
            self.writer.transport.abort()
        self.reader = self.writer = None


def request(call_id: object, nonce: str, tool: str = "echo", **arguments: object) -> bytes:
    """A tools/call as JSON."""
    params = {"name": tool, "arguments": {"nonce": nonce, **arguments}}
    return json.dumps({"jsonrpc": "2.0", "id": call_id, "method": "tools/call", "params": params}).encode()


async def perform(connection: Connection, call: Call, tool: str = "echo", **arguments: object) -> None:
    """Make one call and write its fate down. Never raises but for cancellation."""
    call.began, call.reused = time.monotonic(), connection.is_open
    try:
        await connection.send(request(call.id, call.nonce, tool, **arguments))
        head, body = await connection.answer()
        call.outcome, call.detail = _verdict(call, head, body)
    except (CutShort, OSError, TimeoutError) as error:
        connection.abort()
        call.outcome, call.detail = "broken", f"{type(error).__name__}: {error}"[:80]
    call.ended = time.monotonic()


async def once(port: int, call: Call, tool: str = "echo", **arguments: object) -> None:
    """Make one call on a connection of its own."""
    connection = Connection(port)
    await perform(connection, call, tool, **arguments)
    connection.abort()


def _verdict(call: Call, head: Head, body: bytes) -> tuple[str, str]:
    if head.status != 200:
        return "refused", str(head.status)
    try:
        said = json.loads(body)
        right = said["id"] == call.id and said["result"]["content"][0]["text"] == expected(call.id, call.nonce)
    except (ValueError, KeyError, TypeError):
        right = False
    return ("answered", "") if right else ("wrong", body[:80].decode("latin-1"))


async def steady(
    port: int, rate: float, lasts: float, *, ledger: Ledger, prefix: str = "c", tool: str = "echo",
    **arguments: object,
) -> Ledger:
    """An open loop: for `lasts` seconds `rate` calls a second fall due, however the ones before fare.

    Writes into `ledger`, which others may read meanwhile, and returns it.
    """
    free = [Connection(port) for _ in range(16)]
    running: set[asyncio.Task[None]] = set()
    start = time.monotonic()

    async def one(call: Call) -> None:
        connection = free.pop() if free else Connection(port)
        await perform(connection, call, tool, **arguments)
        free.append(connection)

    for number in range(int(rate * lasts)):
        due = start + number / rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        call = Call(f"{prefix}-{number}", f"n{next(_nonces)}", due)
        ledger.calls[call.id] = call
        task = asyncio.create_task(one(call))
        running.add(task)
        task.add_done_callback(running.discard)
    if running:
        await asyncio.wait(running, timeout=60)
    for connection in free:
        connection.abort()
    return ledger
