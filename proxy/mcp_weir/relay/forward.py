"""One exchange: the request's way up. The answer's way down is answer.py's."""

import asyncio
import time

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import PayloadAccessError, RequestPayloadError

from mcp_weir.errors import UpstreamFault
from mcp_weir.relay.answer import Answer, nobody
from mcp_weir.relay.client import Request
from mcp_weir.relay.headers import Headers, write_fields
from mcp_weir.relay.heads import Known, Parsed
from mcp_weir.relay.limits import REST_SECONDS
from mcp_weir.relay.refusals import bad_gateway, plain
from mcp_weir.relay.upstream import Upstream
from mcp_weir.relay.upstream_protocol import UpstreamConnection
from mcp_weir.relay.watch import Watch
from mcp_weir.relay.written import CLOSE, KEEP, Written

_BROKEN = (ConnectionError, HttpProcessingError, RequestPayloadError, PayloadAccessError)


class Forward:
    """Carries one request upstream and waits for its answer."""

    __slots__ = ("_answer", "_broken", "_chunked", "_done", "_request", "_upload", "_upstream", "_watch")

    def __init__(self, request: Request, upstream: Upstream, watch: Watch, answer: Answer) -> None:
        self._request, self._upstream, self._watch, self._answer = request, upstream, watch, answer
        self._chunked = bool(request.message.chunked)
        self._upload: asyncio.Task[None] | None = None
        self._broken = False
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def _on_finished(self, answer: Answer) -> None:
        if not self._done.done():
            self._done.set_result(None)

    async def run(self, head: bytes) -> Written:
        """Until both directions are over. Cancelled when the client leaves: the upstream is told at once."""
        connection: UpstreamConnection | None = None
        try:
            connection = self._upstream.take()
            self._answer.connection = connection
            self._answer.finished = self._on_finished
            self._send(connection, head)
            await self._done
            if self._answer.started and self._upload is not None and not self._broken:
                await self._finish_upload(connection)
            self._upstream.release(connection)
        except asyncio.CancelledError:
            if connection is not None:
                connection.abort()
            raise
        finally:
            self._answer.finished = nobody  # no cycle: the collector's walk over some thousand of them takes 50 ms
            if self._upload is not None and not self._upload.done() and self._answer.started:
                self._upload.cancel()
        if self._answer.fault is not None and not self._answer.started:
            await self._refuse(self._answer.fault)
        return KEEP if self._answer.keep else CLOSE

    def _send(self, connection: UpstreamConnection, head: bytes) -> None:
        payload, watch, answer = self._request.payload, self._watch, self._answer
        head_only = self._request.message.method == "HEAD"
        now = time.monotonic_ns()
        body = payload.read_nowait(-1) if not payload.at_eof() else b""
        if body:
            watch.request_chunk(body, now // 1000)
        whole = answer.request_whole = payload.at_eof()
        if whole:
            watch.request_end(now // 1000)
        connection.ask(answer, head + self._framed(body, whole), head_only=head_only, whole=whole)
        watch.overhead_ns += time.monotonic_ns() - self._request.client.arrived_ns
        if not whole:
            self._upload = asyncio.get_running_loop().create_task(self._rest(connection))

    async def _rest(self, connection: UpstreamConnection) -> None:
        """The body's remainder, with back-pressure; read on for the record when the upstream is gone."""
        payload, watch = self._request.payload, self._watch
        try:
            while True:
                body = await payload.readany()
                if not body:
                    break
                watch.request_chunk(body, time.monotonic_ns() // 1000)
                connection.write(self._framed(body, False))
                await connection.drain()
        except _BROKEN:
            self._broken = True
            self._break(connection)
            return
        watch.request_end(time.monotonic_ns() // 1000)
        if self._chunked:
            connection.write(b"0\r\n\r\n")
        self._answer.request_whole = True
        connection.asked_all()

    def _break(self, connection: UpstreamConnection) -> None:
        """The client's body is no HTTP: the upstream must never take it for whole."""
        connection.abort()
        answer = self._answer
        if not answer.started and self._request.client.transport is not None:
            self._watch.close("client", time.monotonic_ns() // 1000, status=400)
            self._request.client.transport.write(plain(400, "the request's body is not HTTP/1.1"))
            answer.started = True
        answer.failed(UpstreamFault("protocol", "the request's body is not HTTP/1.1"))

    async def _finish_upload(self, connection: UpstreamConnection) -> None:
        """The answer is whole before the request: go on if the upstream still reads, else let it be."""
        assert self._upload is not None
        if not self._upload.done() and self._answer.keep and not connection.lost:
            await self._upload

    async def _refuse(self, fault: UpstreamFault) -> None:
        """502. What the upstream never took is still the client's word: read it, bounded in time."""
        if self._upload is None and not self._answer.request_whole:
            self._upload = asyncio.get_running_loop().create_task(self._discard())
        if self._upload is not None:
            await asyncio.wait((self._upload,), timeout=REST_SECONDS)
            self._upload.cancel()
        self._answer.keep = False
        said = refusal(fault, self._answer.known, self._watch)
        if self._request.client.transport is not None:
            self._request.client.transport.write(said)

    async def _discard(self) -> None:
        payload, watch = self._request.payload, self._watch
        try:
            while body := await payload.readany():
                watch.request_chunk(body, time.monotonic_ns() // 1000)
        except _BROKEN:
            return
        watch.request_end(time.monotonic_ns() // 1000)

    def _framed(self, body: bytes, whole: bool) -> bytes:
        return framed(body, whole) if self._chunked else body


def framed(body: bytes, whole: bool) -> bytes:
    """A chunk, and the last one where the body is whole."""
    end = b"0\r\n\r\n" if whole else b""
    return b"%x\r\n%b\r\n%b" % (len(body), body, end) if body else end


def refusal(fault: UpstreamFault, known: Known, watch: Watch) -> bytes:
    """The 502 of a request that the upstream did not answer; recorded as such."""
    watch.close("upstream", time.monotonic_ns() // 1000, error=fault.kind, status=502)
    return bad_gateway(fault, watch.error_id, watch.watching and known.json)


def request_head(message: Parsed, target: bytes, headers: Headers, forwarded: bytes | None) -> bytes:
    """The head that goes upstream: the same version, every end-to-end field, and the framing that we use."""
    out = [b"%b %b HTTP/1.%d\r\n" % (message.method.encode(), target, message.version[1])]
    write_fields(out, headers)
    if forwarded is not None:
        out.append(b"Forwarded: %b\r\n" % forwarded)
    out.append(b"Transfer-Encoding: chunked\r\n\r\n" if message.chunked else b"\r\n")
    return b"".join(out)
