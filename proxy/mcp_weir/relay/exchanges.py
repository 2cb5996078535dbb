"""Exchanges: how a request becomes one, watched and guarded, and on which way it is carried.

The quick way is for what is whole: over a pooled connection, or one that is asked while it is being made. It runs
inside the read that brought the request, and ends inside the read that brings the answer: no task, no future; and no
parser where the head has come before (heads.py). Everything else (a body still on its way, a refusal) takes the patient
way of forward.py.
"""

import asyncio
import functools
import itertools
import time
from collections import deque

from aiohttp.streams import EMPTY_PAYLOAD

from mcp_weir.errors import ClientFault
from mcp_weir.relay.answer import Answer, Durable
from mcp_weir.relay.client import ClientConnection, Request
from mcp_weir.relay.forward import Forward, framed, refusal, request_head
from mcp_weir.relay.forwarded import client_of, element
from mcp_weir.relay.guard import check, path_of
from mcp_weir.relay.headers import values
from mcp_weir.relay.heads import LENGTH, Heads, Known, Sight, is_plain
from mcp_weir.relay.limits import OPENED_AFTER_US, RESWEEP_US
from mcp_weir.relay.refusals import plain
from mcp_weir.relay.settings import RelaySettings
from mcp_weir.relay.turn import Turn
from mcp_weir.relay.upstream import Upstream
from mcp_weir.relay.watch import Recording, Watch
from mcp_weir.relay.written import CLOSE, KEEP, Written
from mcp_weir.traffic.exchange import Exchange, RequestHead, is_mcp_path
from mcp_weir.traffic.glance import LARGEST, Glance, may_be_plain
from mcp_weir.traffic.opening import said_by

_TARGET_KEPT = 512  # characters: of longer ones, a thousand would be megabytes


class Exchanges:
    """Those that run (`running`), and those whose facts are told while they run."""

    def __init__(
        self, settings: RelaySettings, upstream: Upstream, recording: Recording, durable: Durable | None
    ) -> None:
        self._settings, self._upstream, self._recording, self._durable = settings, upstream, recording, durable
        self._numbers = itertools.count(1)
        # When each is to tell what is known of it: at first, and again. Most end before, and are taken out at once: a
        # thousand that are over and kept for their hour would push what is worked with out of the caches.
        self._young: dict[Watch, int] = {}
        self._old: deque[tuple[int, Watch]] = deque()
        self._heads = Heads()
        self._reading, self._trusted = settings.reading, settings.trusted
        self._glanced = min(LARGEST, settings.reading.body_limit)
        self.running: set[Answer] = set()
        self._turn = Turn(recording, self.running)
        self.refused = 0
        self.draining = False
        # targets repeat: their parts are looked at once; bounded, for a client may make up any number
        self._targets = functools.lru_cache(maxsize=1024)(self._split)

    def knows(self, key: bytes) -> bool:
        """This head has come before."""
        return self._heads.find(key) is not None

    def sighted(self, client: ClientConnection, seen: Sight, data: bytes) -> bool:
        """Begin the request that `data` is, by a head that has come before; false for an unknown one, or as quick()."""
        known = self._heads.find(seen.key)
        if known is None or self.draining:
            return False
        body = data[seen.body_at:]
        self._begin(client, known, (b"%b%b%b%b" % (known.before, seen.digits, known.after, body), body))
        return True

    def quick(self, request: Request) -> bool:
        """Begin a whole request at once; false where it has to wait for anything, or is refused."""
        message = request.message
        if self.draining or message.upgrade:  # aiohttp holds what follows an upgrade until its own task has answered
            return False
        target = self._parts(message.path)
        try:
            self._check(request, target[0])
        except ClientFault:
            return False
        body = b""
        if request.payload is not EMPTY_PAYLOAD:  # read_nowait() would feed the parser again
            buffer = request.payload._buffer
            body = buffer[0] if len(buffer) == 1 else b"".join(buffer)
        known = self._known(request, target)
        head = self._head(request, target[0])
        sent = head + (framed(body, True) if message.chunked else body)
        self._begin(request.client, known, (sent, body))
        return True

    def _begin(self, client: ClientConnection, known: Known, said: tuple[bytes, bytes]) -> None:
        """`said`: what goes upstream, and the body in it."""
        sent, body = said
        client.head_since, client.seq = 0.0, client.seq + 1
        watch = self._watch(client, known, body)
        answer = self._answer(client, watch, known)
        answer.connection = connection = self._upstream.take()
        answer.request_whole, answer.finished = True, self._quick_over
        connection.ask(answer, sent, head_only=known.method == "HEAD", whole=True)
        watch.overhead_ns += time.monotonic_ns() - client.arrived_ns

    async def patient(self, request: Request) -> Written:
        """Carry a request that has to wait, in aiohttp's task for it."""
        client = request.client
        client.rested = False
        if client.flow is not None:  # begun while this task was on its way to wait: answers keep the requests' order
            client.over = asyncio.get_running_loop().create_future()
            if not await client.over:
                return CLOSE
        written = await self._patient(request)
        if client.last:
            written = CLOSE
        client.rested = written is KEEP and request.payload.is_eof() and not client.waiting
        if written is CLOSE and not request.payload.is_eof():
            request.client.end_writing()
        return written

    async def _patient(self, request: Request) -> Written:
        client, message = request.client, request.message
        client.head_since, client.seq = 0.0, client.seq + 1
        target = self._parts(message.path)
        known = Known(message, target[1:])
        watch = self._watch(client, known, None)
        try:
            self._check(request, target[0])
        except ClientFault as fault:
            self.refused += 1
            watch.close("complete", time.monotonic_ns() // 1000, status=fault.status)
            if client.transport is not None:
                client.transport.write(plain(fault.status, str(fault)))
            return CLOSE
        answer = self._answer(client, watch, known)
        try:
            self._learn(request, known, target[0])
            return await Forward(request, self._upstream, watch, answer).run(self._head(request, target[0]))
        finally:
            watch.close("client", time.monotonic_ns() // 1000)
            client.flow = None
            self.running.discard(answer)
            self._young.pop(watch, None)

    def sweep(self, now_us: int) -> None:
        """Tell what is known of exchanges that still run, and end streams that have been silent for too long."""
        due = list(itertools.takewhile(lambda young: young[1] <= now_us, self._young.items()))
        for watch, _ in due:
            del self._young[watch]
        while self._old and self._old[0][0] <= now_us:
            due.append((self._old.popleft()[1], 0))
        for watch, _ in due:
            if not watch.closed:
                watch.sweep()
                self._old.append((now_us + RESWEEP_US, watch))
        patience = self._settings.stream_idle_timeout * 1e6
        if patience:
            for answer in list(self.running):
                if answer.sse and now_us - answer.heard_us > patience:
                    answer.end_stream()

    def _quick_over(self, answer: Answer) -> None:
        assert answer.connection is not None
        self._upstream.release(answer.connection)
        self.running.discard(answer)
        self._young.pop(answer.watch, None)
        client = answer.client
        if answer.fault is not None and not answer.started:
            answer.keep = False
            said = refusal(answer.fault, answer.known, answer.watch)
            if client.transport is not None:
                client.transport.write(said)
        client.answered(answer.keep)

    def _answer(self, client: ClientConnection, watch: Watch, known: Known) -> Answer:
        answer = Answer(client, watch, known, known.keep and not (self.draining or client.last))
        answer.durable, answer.turn = self._durable, self._turn
        client.flow = answer
        self.running.add(answer)
        return answer

    def _known(self, request: Request, target: tuple[bytes, str, str, bool]) -> Known:
        known = Known(request.message, target[1:])
        self._learn(request, known, target[0])
        return known

    def _learn(self, request: Request, known: Known, target: bytes) -> None:
        """Remember a head that has passed the guard, where it is plain and says nothing of one connection alone."""
        client, message = request.client, request.message
        seen, client.seen = client.seen, None
        if seen is None or self._settings.add_forwarded or not is_plain(message, seen):
            return
        before, mark, after = self._head(request, target, LENGTH).partition(LENGTH)
        if mark:
            known.before, known.after = before, after
            if known.mcp:
                known.said = said_by(self._reading, known.method, known.path, known.query, known.headers)
                known.plain = may_be_plain(self._reading, known.said)
            self._heads.remember(seen.key, known)

    def _check(self, request: Request, target: bytes) -> None:
        message = request.message
        check(message.method, target, message.version, message.raw_headers)
        if self._settings.hosts is not None:
            self._settings.hosts.check(message.raw_headers)

    def _head(self, request: Request, target: bytes, length: bytes | None = None) -> bytes:
        headers, forwarded, settings = request.message.raw_headers, None, self._settings
        if length is not None:
            headers = tuple((name, length if name.lower() == b"content-length" else value) for name, value in headers)
        if settings.add_forwarded:
            host = values(headers, b"host")
            forwarded = element(request.client.address, host[0] if host else None, settings.tls is not None)
        if settings.hosts is not None:
            headers, target = settings.hosts.rewrite(headers), path_of(target).encode("latin-1")
        return request_head(request.message, target, headers, forwarded)

    def _parts(self, said: str) -> tuple[bytes, str, str, bool]:
        return self._targets(said) if len(said) <= _TARGET_KEPT else self._split(said)

    def _split(self, said: str) -> tuple[bytes, str, str, bool]:
        target = said.encode("utf-8", "surrogateescape")
        path, _, query = path_of(target).partition("?")
        return target, path, query, self._settings.record and is_mcp_path(self._reading, path)

    def _watch(self, client: ClientConnection, known: Known, body: bytes | None) -> Watch:
        """`body` where the request is whole."""
        recording = self._recording
        if not known.mcp:
            return Watch(None, 0, recording)
        arrived_ns, opened_ns = client.arrived_ns, client.opened_ns
        wall_us = (time.time_ns() - arrived_ns + opened_ns) // 1000
        minute = wall_us // 60_000_000
        recording.seen(minute)
        address, proxied = client.address, False
        if self._trusted:  # else there is nothing to look up: 1 us
            address, proxied = client_of(known.headers, address, self._trusted)
        head = RequestHead(
            known.method, known.path, known.query, known.headers, address, client.number, client.seq, proxied,
            known.said,
        )
        opened_us = opened_ns // 1000
        try:
            if known.plain and body and len(body) <= self._glanced:
                at = wall_us, opened_us, arrived_ns // 1000
                watch = Watch(None, minute, recording, Glance(self._reading, next(self._numbers), head, at, body))
            else:
                watch = Watch(self._exchange(head, (wall_us, opened_us), body), minute, recording)
        except Exception:  # the observer guard: recording never fails a request
            recording.errors += 1
            recording.lost(minute)
            return Watch(None, 0, recording)
        self._young[watch] = opened_us + OPENED_AFTER_US
        return watch

    def _exchange(self, head: RequestHead, opened: tuple[int, int], body: bytes | None) -> Exchange:
        exchange = Exchange(self._reading, next(self._numbers), head, *opened)
        if body is not None:
            now_us = time.monotonic_ns() // 1000
            if body:
                exchange.request_chunk(body, now_us)
            exchange.request_end(now_us)
        return exchange
