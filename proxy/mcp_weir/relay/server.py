"""The relay: accepts, guards, forwards both ways as bytes. Stores nothing; what it sees it offers as facts."""

import asyncio
import dataclasses
import itertools
import socket
import time
from collections import deque
from collections.abc import Callable
from urllib.parse import urlsplit

import aiohttp
from aiohttp import HttpVersion11

from mcp_weir.errors import ClientFault, UsageError
from mcp_weir.relay.answer import Answer
from mcp_weir.relay.client import CLOSE, Gate, Request, Written
from mcp_weir.relay.forward import Forward, request_head
from mcp_weir.relay.guard import check, path_of
from mcp_weir.relay.limits import OPENED_AFTER_US, RESWEEP_US, SWEEP_SECONDS
from mcp_weir.relay.refusals import plain
from mcp_weir.relay.upstream import Origin, Pool
from mcp_weir.relay.watch import Recording, Watch
from mcp_weir.traffic.exchange import Exchange, RequestHead, is_mcp_path
from mcp_weir.traffic.facts import Line
from mcp_weir.traffic.reading import Reading

_BACKLOG = 1024


@dataclasses.dataclass(frozen=True, slots=True)
class RelaySettings:
    """`upstream_origin` is scheme, host and port; times in seconds."""

    upstream_origin: str
    reading: Reading
    connect_timeout: float = 5
    drain_timeout: float = 25
    head_timeout: float = 30
    max_connections: int = 8000


@dataclasses.dataclass(frozen=True, slots=True)
class RelayStats:
    """How a worker's relay is doing."""

    open_connections: int
    in_flight: int
    idle_upstream: int
    observer_errors: int
    refused: int
    turned_away: int


class Relay:
    """One worker's relay. `offer` and `count_seen` take the Unix minute in which the exchange opened."""

    def __init__(
        self, settings: RelaySettings, offer: Callable[[Line, int], object], count_seen: Callable[[int], None]
    ) -> None:
        if not aiohttp.http_parser.HttpRequestParser.__module__.endswith("_http_parser"):
            raise UsageError("aiohttp has no C parser here; install a binary wheel of aiohttp")
        self._settings, self._recording = settings, Recording(offer, count_seen)
        self._numbers = itertools.count(1)
        self._sweeping: deque[tuple[int, Watch]] = deque()
        self._running: set[Answer] = set()
        self._refused = 0
        self._draining = False
        self._pool = Pool(origin(settings))

    async def start(self, sock: socket.socket) -> None:
        """Serve on a bound socket until drain()."""
        self._gate = Gate(self._handle, self._settings.max_connections)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._gate, sock=sock, backlog=_BACKLOG)
        self._sweeper = asyncio.create_task(self._sweep())

    async def drain(self) -> None:
        """Stop accepting, let requests finish, end streams between events; within the drain timeout."""
        self._draining = True
        self._server.close()
        deadline = time.monotonic() + self._settings.drain_timeout
        for answer in list(self._running):
            answer.keep = False
            answer.end_stream()
        while self._running and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self._sweeper.cancel()
        await self._gate.shutdown(0.1)
        self._pool.close()

    def stats(self) -> RelayStats:
        """Counts of this moment, and of this life."""
        return RelayStats(
            self._gate.open, len(self._running), len(self._pool), self._recording.errors, self._refused,
            self._gate.turned_away,
        )

    async def _handle(self, request: Request) -> Written:
        written = await self._exchange(request)
        if written is CLOSE and not request.payload.is_eof():
            request.client.end_writing()
        return written

    async def _exchange(self, request: Request) -> Written:
        client, message = request.client, request.message
        client.head_since, client.seq = 0.0, client.seq + 1
        target = message.path.encode("utf-8", "surrogateescape")
        http11 = message.version >= HttpVersion11
        watch = self._watch(request, path_of(target))
        try:
            check(message.method, target, (message.version[0], message.version[1]), message.raw_headers)
        except ClientFault as fault:
            self._refused += 1
            watch.close("complete", time.monotonic_ns() // 1000, status=fault.status)
            if client.transport is not None:
                client.transport.write(plain(fault.status, str(fault)))
            return CLOSE
        answer = Answer(client, watch, http11, not (message.should_close or self._draining))
        client.flow = answer
        self._running.add(answer)
        try:
            return await Forward(request, self._pool, watch, answer).run(
                request_head(message.method, target, http11, request)
            )
        finally:
            watch.close("client", time.monotonic_ns() // 1000)
            client.flow = None
            self._running.discard(answer)

    def _watch(self, request: Request, target: str) -> Watch:
        path, _, query = target.partition("?")
        if not is_mcp_path(self._settings.reading, path):
            return Watch(None, 0, self._recording)
        wall_us, client, message = time.time_ns() // 1000, request.client, request.message
        minute = wall_us // 60_000_000
        self._recording.seen(minute)
        peer = client.peername
        head = RequestHead(
            message.method, path, query, message.raw_headers, str(peer[0]) if peer else None, client.number, client.seq
        )
        opened_us = client.arrived_ns // 1000
        try:
            exchange = Exchange(self._settings.reading, next(self._numbers), head, wall_us, opened_us)
        except Exception:  # the observer guard: recording never fails a request
            self._recording.errors += 1
            return Watch(None, 0, self._recording)
        watch = Watch(exchange, minute, self._recording)
        self._sweeping.append((opened_us + OPENED_AFTER_US, watch))
        return watch

    async def _sweep(self) -> None:
        again: deque[tuple[int, Watch]] = deque()
        for beat in itertools.count():
            await asyncio.sleep(SWEEP_SECONDS)
            now = time.monotonic_ns() // 1000
            for queue in (self._sweeping, again):
                while queue and queue[0][0] <= now:
                    _, watch = queue.popleft()
                    if not watch.closed:
                        watch.sweep()
                        again.append((now + RESWEEP_US, watch))
            if beat % 10 == 0:
                self._pool.expire()
                self._gate.sweep(self._settings.head_timeout)


def origin(settings: RelaySettings) -> Origin:
    """Where the pool connects to."""
    parts = urlsplit(settings.upstream_origin)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return Origin(parts.hostname or "", port, None, settings.connect_timeout)


