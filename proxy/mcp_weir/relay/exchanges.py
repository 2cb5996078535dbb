"""Exchanges: how a request becomes one, watched and guarded, and on which way it is carried.

The quick way is for what needs no waiting: the request is whole and a pooled connection is idle. It runs inside the
read that brought the request, and ends inside the read that brings the answer: no task, no future. Everything else (a
body still on its way, a connection to be made, a refusal) takes the patient way of forward.py.
"""

import functools
import itertools
import time
from collections import deque

from aiohttp import HttpVersion11
from aiohttp.streams import EMPTY_PAYLOAD

from mcp_weir.errors import ClientFault
from mcp_weir.relay.answer import Answer, Durable
from mcp_weir.relay.client import CLOSE, Request, Written
from mcp_weir.relay.forward import Forward, framed, refusal, request_head
from mcp_weir.relay.forwarded import client_of, element
from mcp_weir.relay.guard import check, path_of
from mcp_weir.relay.headers import values
from mcp_weir.relay.limits import OPENED_AFTER_US, RESWEEP_US
from mcp_weir.relay.refusals import plain
from mcp_weir.relay.settings import RelaySettings
from mcp_weir.relay.upstream import Upstream
from mcp_weir.relay.watch import Recording, Watch
from mcp_weir.traffic.exchange import Exchange, RequestHead, is_mcp_path

_TARGET_KEPT = 512  # characters: of longer ones, a thousand would be megabytes


class Exchanges:
    """Those that run (`running`), and those whose facts are told while they run."""

    def __init__(
        self, settings: RelaySettings, upstream: Upstream, recording: Recording, durable: Durable | None
    ) -> None:
        self._settings, self._upstream, self._recording, self._durable = settings, upstream, recording, durable
        self._numbers = itertools.count(1)
        self._young: deque[tuple[int, Watch]] = deque()
        self._old: deque[tuple[int, Watch]] = deque()
        self.running: set[Answer] = set()
        self.refused = 0
        self.draining = False
        # targets repeat: their parts are looked at once; bounded, for a client may make up any number
        self._known = functools.lru_cache(maxsize=1024)(self._split)

    def quick(self, request: Request) -> bool:
        """Begin a whole request at once; false where it has to wait for anything, or is refused."""
        message, client = request.message, request.client
        if self.draining or message.upgrade:  # aiohttp holds what follows an upgrade until its own task has answered
            return False
        target, path, query, mcp = self._parts(message.path)
        try:
            self._check(request, target)
        except ClientFault:
            return False
        connection = self._upstream.take()
        if connection is None:
            return False
        client.head_since, client.seq = 0.0, client.seq + 1
        watch = self._watch(request, path, query) if mcp else Watch(None, 0, self._recording)
        answer = self._answer(request, watch)
        answer.connection, answer.request_whole = connection, True
        answer.finished = functools.partial(self._quick_over, request)
        body = b""
        if request.payload is not EMPTY_PAYLOAD:  # read_nowait() would feed the parser again
            buffer = request.payload._buffer
            body = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        now = time.monotonic_ns()
        if body:
            watch.request_chunk(body, now // 1000)
        watch.request_end(now // 1000)
        head = self._head(request, target)
        sent = head + (framed(body, True) if message.chunked else body)
        connection.ask(answer, sent, head_only=message.method == "HEAD", whole=True)
        watch.overhead_ns += time.monotonic_ns() - client.arrived_ns
        return True

    async def patient(self, request: Request) -> Written:
        """Carry a request that has to wait, in aiohttp's task for it."""
        written = await self._patient(request)
        if written is CLOSE and not request.payload.is_eof():
            request.client.end_writing()
        return written

    async def _patient(self, request: Request) -> Written:
        client, message = request.client, request.message
        client.head_since, client.seq = 0.0, client.seq + 1
        target, path, query, mcp = self._parts(message.path)
        watch = self._watch(request, path, query) if mcp else Watch(None, 0, self._recording)
        try:
            self._check(request, target)
        except ClientFault as fault:
            self.refused += 1
            watch.close("complete", time.monotonic_ns() // 1000, status=fault.status)
            if client.transport is not None:
                client.transport.write(plain(fault.status, str(fault)))
            return CLOSE
        answer = self._answer(request, watch)
        try:
            return await Forward(request, self._upstream, watch, answer).run(self._head(request, target))
        finally:
            watch.close("client", time.monotonic_ns() // 1000)
            client.flow = None
            self.running.discard(answer)

    def sweep(self, now_us: int) -> None:
        """Tell what is known of exchanges that still run, and end streams that have been silent for too long."""
        for queue in (self._young, self._old):
            while queue and queue[0][0] <= now_us:
                _, watch = queue.popleft()
                if not watch.closed:
                    watch.sweep()
                    self._old.append((now_us + RESWEEP_US, watch))
        patience = self._settings.stream_idle_timeout * 1e6
        if patience:
            for answer in list(self.running):
                if answer.sse and now_us - answer.heard_us > patience:
                    answer.end_stream()

    def _quick_over(self, request: Request, answer: Answer) -> None:
        assert answer.connection is not None
        self._upstream.release(answer.connection)
        self.running.discard(answer)
        client = request.client
        if answer.fault is not None and not answer.started:
            answer.keep = False
            said = refusal(answer.fault, request, answer.watch)
            if client.transport is not None:
                client.transport.write(said)
        client.answered(answer.keep)

    def _answer(self, request: Request, watch: Watch) -> Answer:
        message = request.message
        keep = not (message.should_close or self.draining)
        answer = Answer(request.client, watch, message.version >= HttpVersion11, keep)
        answer.durable = self._durable
        request.client.flow = answer
        self.running.add(answer)
        return answer

    def _check(self, request: Request, target: bytes) -> None:
        message = request.message
        check(message.method, target, message.version, message.raw_headers)
        if self._settings.hosts is not None:
            self._settings.hosts.check(message.raw_headers)

    def _head(self, request: Request, target: bytes) -> bytes:
        headers, forwarded, settings = request.message.raw_headers, None, self._settings
        if settings.add_forwarded:
            host = values(headers, b"host")
            forwarded = element(request.client.address, host[0] if host else None, settings.tls is not None)
        if settings.hosts is not None:
            headers, target = settings.hosts.rewrite(headers), path_of(target).encode("latin-1")
        return request_head(request, target, headers, forwarded)

    def _parts(self, said: str) -> tuple[bytes, str, str, bool]:
        return self._known(said) if len(said) <= _TARGET_KEPT else self._split(said)

    def _split(self, said: str) -> tuple[bytes, str, str, bool]:
        target = said.encode("utf-8", "surrogateescape")
        path, _, query = path_of(target).partition("?")
        return target, path, query, self._settings.record and is_mcp_path(self._settings.reading, path)

    def _watch(self, request: Request, path: str, query: str) -> Watch:
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
            self._recording.lost(minute)
            return Watch(None, 0, self._recording)
        watch = Watch(exchange, minute, self._recording)
        self._young.append((opened_us + OPENED_AFTER_US, watch))
        return watch
