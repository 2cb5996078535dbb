"""An MCP server that counts what it executed and knows when it was left. What it does is named by the tool called."""

import asyncio
import collections
import contextlib
import dataclasses
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable

from faults.lab.http import LIMIT, CutShort, Head, read_body, read_head
from faults.lab.load import expected


@dataclasses.dataclass(slots=True)
class Exchange:
    """One request whose body is whole, and the way to answer it."""

    upstream: "Upstream"
    head: Head
    id: object
    arguments: dict
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def result(self) -> bytes:
        """The honest answer, as JSON."""
        text = expected(self.id, str(self.arguments.get("nonce")))
        return json.dumps(
            {"jsonrpc": "2.0", "id": self.id, "result": {"content": [{"type": "text", "text": text}]}}
        ).encode()

    async def answer(self, body: bytes, kind: str = "application/json", status: str = "200 OK") -> None:
        """A whole response with Content-Length."""
        head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n"
        self.writer.write(head.encode() + body)
        await self.writer.drain()

    async def begin_stream(self) -> None:
        """The head of a chunked SSE response."""
        self.writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        await self.writer.drain()

    async def chunk(self, data: bytes) -> None:
        """One chunk; an empty one ends the response."""
        self.writer.write(b"%x\r\n%b\r\n" % (len(data), data))
        await self.writer.drain()

    async def stay(self, seconds: float) -> bool:
        """Wait; False as soon as the peer has gone, which is written down."""
        watch = asyncio.ensure_future(self.reader.read(1))
        try:
            done, _ = await asyncio.wait({watch}, timeout=seconds)
        finally:
            watch.cancel()
            await asyncio.wait({watch})  # else the next read finds this one still waiting
        if done:
            self.upstream.left[self.id] = time.monotonic()
        return not done


_HEARD = 16 << 20  # bytes of what arrived that are kept
Tool = Callable[[Exchange], Awaitable[bool]]
TOOLS: dict[str, Tool] = {}


def tool(function: Tool) -> Tool:
    """Register a behaviour under its own name; it returns whether the connection may go on."""
    TOOLS[function.__name__] = function
    return function


@tool
async def echo(exchange: Exchange) -> bool:
    """At once."""
    await exchange.answer(exchange.result)
    return True


@tool
async def sleep(exchange: Exchange) -> bool:
    """After `seconds`."""
    if not await exchange.stay(float(exchange.arguments["seconds"])):
        return False
    await exchange.answer(exchange.result)
    return True


@tool
async def stream(exchange: Exchange) -> bool:
    """`events` numbered events, `interval` seconds apart, each with the time it left; the result at the end."""
    await exchange.begin_stream()
    for number in range(int(exchange.arguments["events"])):
        params = {"progressToken": 1, "progress": number, "at": time.monotonic()}
        event = json.dumps({"jsonrpc": "2.0", "method": "notifications/progress", "params": params})
        await exchange.chunk(f"event: message\r\ndata: {event}\n\n".replace("\r", "").encode())
        if not await exchange.stay(float(exchange.arguments["interval"])):
            return False
    await exchange.chunk(b"event: message\ndata: " + exchange.result + b"\n\n")
    await exchange.chunk(b"")
    return True


@tool
async def idle(exchange: Exchange) -> bool:
    """A stream on which nothing comes for `seconds`."""
    await exchange.begin_stream()
    await exchange.chunk(b": here\n\n")
    if not await exchange.stay(float(exchange.arguments.get("seconds", 600))):
        return False
    await exchange.chunk(b"")
    return True


class Upstream:
    """The server. `executed` counts each id whose request was read whole; `came` says when (monotonic), `left` when the
    peer went away.
    """

    def __init__(self) -> None:
        self.executed: collections.Counter[object] = collections.Counter()
        self.came: dict[object, float] = {}
        self.left: dict[object, float] = {}
        self.connections = 0
        self.port = 0
        self.heard = bytearray()  # heads and bodies, as long as they are short
        self.flooded = 0  # bytes of endless streams that were taken
        self.idle_limit: float | None = None  # closes a connection that is idle for so long, without a word

    def said_to(self, word: str) -> bool:
        """These characters have arrived here."""
        return word.encode() in self.heard

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator["Upstream"]:
        """Listen on a free port of loopback."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=LIMIT, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._tasks: set[asyncio.Task[None]] = set()
        try:
            yield self
        finally:
            server.close()
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (CutShort, ConnectionError, TimeoutError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort() if reader.at_eof() else writer.close()
            self._tasks.discard(task)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await asyncio.wait_for(read_head(reader), self.idle_limit)
        if head is None:
            return False
        body = await read_body(reader, head)
        if len(self.heard) < _HEARD:
            self.heard += head.raw + body
        if head.start.split(b" ")[1].split(b"?")[0] != b"/mcp":
            writer.write(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
            return True
        call = self._read(head, body)
        self.executed[call.get("id")] += 1
        self.came[call.get("id")] = time.monotonic()
        params = call.get("params") or {}
        exchange = Exchange(self, head, call.get("id"), params.get("arguments") or {}, reader, writer)
        return await TOOLS[params.get("name", "echo")](exchange)

    def _read(self, head: Head, body: bytes) -> dict:
        if head.start.startswith(b"GET "):
            return {"id": (head.get(b"x-id") or b"get").decode(), "params": {"name": "idle"}}
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return {"id": None}
