"""The relay: accepts, guards, forwards both ways as bytes. Stores nothing; what it sees it offers as facts."""

import asyncio
import dataclasses
import itertools
import socket
import ssl
import time
from collections import deque
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from aiohttp import HttpVersion11

from mcp_weir.errors import ClientFault, UsageError
from mcp_weir.relay.answer import Answer, Durable
from mcp_weir.relay.client import CLOSE, Gate, Request, Written
from mcp_weir.relay.forward import Forward, request_head
from mcp_weir.relay.forwarded import Network, client_of, element
from mcp_weir.relay.guard import check, path_of
from mcp_weir.relay.headers import values
from mcp_weir.relay.hosts import Hosts
from mcp_weir.relay.limits import OPENED_AFTER_US, RESWEEP_US, SWEEP_SECONDS
from mcp_weir.relay.refusals import plain
from mcp_weir.relay.tls import asking
from mcp_weir.relay.upstream import Origin, Pool
from mcp_weir.relay.watch import Recording, Watch
from mcp_weir.traffic.exchange import Exchange, RequestHead, is_mcp_path
from mcp_weir.traffic.facts import Line
from mcp_weir.traffic.reading import Reading

_BACKLOG = 1024
_DRAIN_STEP_S = 0.02


@dataclasses.dataclass(frozen=True, slots=True)
class RelaySettings:
    """`upstream_origin` is scheme, host and port; times in seconds; `stream_idle_timeout` 0: never."""

    upstream_origin: str
    reading: Reading
    connect_timeout: float = 5
    drain_timeout: float = 25
    head_timeout: float = 30
    stream_idle_timeout: float = 0
    max_connections: int = 8000
    trusted: tuple[Network, ...] = ()
    add_forwarded: bool = False
    hosts: Hosts | None = None
    tls: ssl.SSLContext | None = None
    upstream_tls: ssl.SSLContext | None = None


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
    """One worker's relay. `offer` and `count_seen` take the Unix minute in which the exchange opened.

    With `durable`, bytes that complete a fact wait until it returns: what was offered before is on the disk.
    """

    def __init__(
        self, settings: RelaySettings, offer: Callable[[Line, int], object], count_seen: Callable[[int], None],
        durable: Durable | None = None,
    ) -> None:
        if not aiohttp.http_parser.HttpRequestParser.__module__.endswith("_http_parser"):
            raise UsageError("aiohttp has no C parser here; install a binary wheel of aiohttp")
        self._settings, self._recording, self._durable = settings, Recording(offer, count_seen), durable
        self._numbers = itertools.count(1)
        self._sweeping: deque[tuple[int, Watch]] = deque()
        self._running: set[Answer] = set()
        self._refused = 0
        self._draining = self._hurried = False
        self._pool = Pool(origin(settings))

    async def start(self, sock: socket.socket) -> None:
        """Serve on a bound socket until drain()."""
        self._gate = Gate(self._handle, self._settings.max_connections)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._gate, sock=sock, backlog=_BACKLOG, **self._tls())
        self._sweeper = asyncio.create_task(self._sweep())

    async def drain(self) -> None:
        """Stop accepting; requests finish, streams that owe no answer end between two events; then whatever is left.

        At the end of the drain timeout, or after hurry(), every stream ends between events and the rest is cut.
        """
        self._draining = True
        self._server.close()
        self._gate.close_idle()
        deadline = time.monotonic() + self._settings.drain_timeout
        while self._running and time.monotonic() < deadline and not self._hurried:
            for answer in list(self._running):
                answer.keep = False
                if not answer.watch.owes_answer:
                    answer.end_stream()
            await asyncio.sleep(_DRAIN_STEP_S)
        for answer in list(self._running):
            answer.end_stream()
        await asyncio.sleep(_DRAIN_STEP_S)
        for answer in list(self._running):
            answer.cut()
        self._sweeper.cancel()
        await self._gate.shutdown(_DRAIN_STEP_S)
        self._pool.close()

    def hurry(self) -> None:
        """Drain no longer."""
        self._hurried = True

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
            if self._settings.hosts is not None:
                self._settings.hosts.check(message.raw_headers)
        except ClientFault as fault:
            self._refused += 1
            watch.close("complete", time.monotonic_ns() // 1000, status=fault.status)
            if client.transport is not None:
                client.transport.write(plain(fault.status, str(fault)))
            return CLOSE
        answer = Answer(client, watch, http11, not (message.should_close or self._draining))
        answer.durable = self._durable
        client.flow = answer
        self._running.add(answer)
        try:
            return await Forward(request, self._pool, watch, answer).run(self._head(request, target))
        finally:
            watch.close("client", time.monotonic_ns() // 1000)
            client.flow = None
            self._running.discard(answer)

    def _head(self, request: Request, target: bytes) -> bytes:
        headers, forwarded, settings = request.message.raw_headers, None, self._settings
        if settings.add_forwarded:
            host = values(headers, b"host")
            forwarded = element(request.client.address, host[0] if host else None, settings.tls is not None)
        if settings.hosts is not None:
            headers, target = settings.hosts.rewrite(headers), path_of(target).encode("latin-1")
        return request_head(request, target, headers, forwarded)

    def _tls(self) -> dict[str, Any]:
        if self._settings.tls is None:
            return {}
        return {"ssl": self._settings.tls, "ssl_handshake_timeout": self._settings.head_timeout}

    def _watch(self, request: Request, target: str) -> Watch:
        path, _, query = target.partition("?")
        if not is_mcp_path(self._settings.reading, path):
            return Watch(None, 0, self._recording)
        wall_us, client, message = time.time_ns() // 1000, request.client, request.message
        minute = wall_us // 60_000_000
        self._recording.seen(minute)
        who = client_of(message.raw_headers, client.address, self._settings.trusted)
        head = RequestHead(
            message.method, path, query, message.raw_headers, who.address, client.number, client.seq, who.proxied
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
                self._end_silent_streams(now)

    def _end_silent_streams(self, now_us: int) -> None:
        patience = self._settings.stream_idle_timeout * 1e6
        if patience:
            for answer in list(self._running):
                if answer.sse and now_us - answer.heard_us > patience:
                    answer.end_stream()


def origin(settings: RelaySettings) -> Origin:
    """Where the pool connects to."""
    parts = urlsplit(settings.upstream_origin)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    tls = (settings.upstream_tls or asking(None, None, None)) if parts.scheme == "https" else None
    return Origin(parts.hostname or "", port, tls, settings.connect_timeout)


