"""The relay: accepts, guards, forwards both ways as bytes. Stores nothing; what it sees it offers as facts."""

import asyncio
import dataclasses
import itertools
import json
import socket
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from mcp_weir.errors import ClientFault, UsageError
from mcp_weir.traffic.exchange import Exchange, RequestHead, is_mcp_path
from mcp_weir.traffic.facts import Line
from mcp_weir.traffic.reading import Reading

_HOP_BY_HOP = frozenset(  # RFC 9110 7.6.1
    {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}
)
_AUTO = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")
_LIMIT = 64 * 1024
_REST = 8 << 20
_SWEEP_S = 0.05
_OPEN_AFTER_US = 100_000
Headers = tuple[tuple[bytes, bytes], ...]


@dataclasses.dataclass(frozen=True, slots=True)
class RelaySettings:
    """`upstream_origin` is scheme, host and port; times in seconds."""

    upstream_origin: str
    reading: Reading
    connect_timeout: float = 5
    drain_timeout: float = 25


def now_us() -> int:
    """CLOCK_MONOTONIC in microseconds."""
    return time.monotonic_ns() // 1000


class Relay:
    """One worker's relay. `offer` and `count_seen` take the Unix minute in which the exchange opened."""

    def __init__(
        self, settings: RelaySettings, offer: Callable[[Line, int], object], count_seen: Callable[[int], None]
    ) -> None:
        if not aiohttp.http_parser.HttpRequestParser.__module__.endswith("_http_parser"):
            raise UsageError("aiohttp has no C parser here; install a binary wheel of aiohttp")
        self.observer_errors = 0
        self.in_flight = 0
        self._settings, self._offer, self._count_seen = settings, offer, count_seen
        self._numbers, self._connections = itertools.count(1), itertools.count(1)
        self._running: deque[tuple[int, _Watch]] = deque()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._streams: set[asyncio.Task[Any]] = set()

    async def start(self, sock: socket.socket) -> None:
        """Serve on a bound socket until drain()."""
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=3),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=self._settings.connect_timeout),
            auto_decompress=False, trust_env=False, skip_auto_headers=_AUTO,
            max_line_size=_LIMIT, max_field_size=_LIMIT, read_bufsize=1 << 17,
        )
        self._session._retry_connection = False  # a proxy repeats nothing, not even a GET
        server = web.Server(
            self._handle, handler_cancellation=True, auto_decompress=False, access_log=None,
            max_line_size=_LIMIT, max_field_size=_LIMIT, keepalive_timeout=75,
        )
        self._server = server
        self._runner = web.ServerRunner(server, handle_signals=False)
        await self._runner.setup()
        self._site = web.SockSite(self._runner, sock)
        await self._site.start()
        self._sweeper = asyncio.create_task(self._sweep())

    async def drain(self) -> None:
        """Stop accepting, let requests finish, end streams between events; within the drain timeout."""
        await self._site.stop()
        for task in list(self._streams):
            task.cancel()
        deadline = time.monotonic() + self._settings.drain_timeout
        while self._tasks and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self._sweeper.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.sleep(0)
        await self._runner.cleanup()
        await self._session.close()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.in_flight += 1
        try:
            _guard(request)
            return await self._forward(request, self._watch(request))
        except ClientFault as fault:
            refused = web.Response(status=fault.status, text=f"{fault}\n")
            refused.force_close()
            return refused
        finally:
            self.in_flight -= 1
            self._tasks.discard(task)
            self._streams.discard(task)

    def _watch(self, request: web.BaseRequest) -> "_Watch":
        path, _, query = request.raw_path.partition("?")
        if not is_mcp_path(self._settings.reading, path):
            return _Watch(None, 0, self)
        wall_us = time.time_ns() // 1000
        self._count_seen(wall_us // 60_000_000)
        transport: Any = request.transport
        connection = getattr(request.protocol, "_weir_connection", 0) or next(self._connections)
        peer = transport.get_extra_info("peername") if transport else None
        head = RequestHead(request.method, path, query, request.raw_headers, peer[0] if peer else None, connection, 0)
        try:
            exchange = Exchange(self._settings.reading, next(self._numbers), head, wall_us, now_us())
        except Exception:  # the observer guard: recording never fails a request
            self.observer_errors += 1
            return _Watch(None, 0, self)
        watch = _Watch(exchange, wall_us // 60_000_000, self)
        self._running.append((now_us() + _OPEN_AFTER_US, watch))
        return watch

    async def _forward(self, request: web.BaseRequest, watch: "_Watch") -> web.StreamResponse:
        url = URL(self._settings.upstream_origin + request.raw_path, encoded=True)
        sent = _end_to_end(request.raw_headers)
        body = _body(request, watch) if request.body_exists else None
        if body is None:
            watch.see("request_end")
        headers = CIMultiDict([(k.decode("ascii"), v.decode("utf-8")) for k, v in sent])
        response: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method, url, headers=headers, data=body, allow_redirects=False
            ) as upstream:
                watch.see("response_head", upstream.status, upstream.raw_headers)
                response = _response(request, upstream)
                if upstream.content_type == "text/event-stream":
                    self._streams.add(asyncio.current_task())  # type: ignore[arg-type]
                await response.prepare(request)
                await self._copy(upstream, response, watch)
                return response
        except asyncio.CancelledError:
            watch.close("client")
            raise
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            if response is not None:
                watch.close("upstream", upstream_error=None)
                if request.transport is not None:
                    request.transport.abort()  # never a clean end for what was cut
                return response
            if body is not None:  # what the upstream never took is still the client's word: read it, bounded
                await _read_rest(request, watch)
            return _bad_gateway(watch, error)
        finally:
            watch.close("client")

    async def _copy(self, upstream: aiohttp.ClientResponse, response: web.StreamResponse, watch: "_Watch") -> None:
        async for chunk in upstream.content.iter_any():
            watch.see("response_chunk", chunk)
            if watch.complete:
                watch.close("complete")
            began = now_us()
            try:
                await response.write(chunk)
            except (ConnectionError, aiohttp.ClientConnectionError):
                watch.close("client")
                raise asyncio.CancelledError from None
            watch.stall_us += now_us() - began
        watch.close("complete")
        await response.write_eof()

    async def _sweep(self) -> None:
        again: deque[tuple[int, _Watch]] = deque()
        while True:
            await asyncio.sleep(_SWEEP_S)
            now = now_us()
            for queue in (self._running, again):
                while queue and queue[0][0] <= now:
                    _, watch = queue.popleft()
                    if not watch.closed:
                        watch.see("sweep", timed=False)
                        again.append((now + 1_000_000, watch))


class _Watch:
    """The observer's seat beside one exchange: whatever goes wrong here stays here."""

    def __init__(self, exchange: Exchange | None, minute: int, relay: Relay) -> None:
        self._exchange, self._minute, self._relay = exchange, minute, relay
        self.stall_us = 0
        self.spent_us = 0
        self.closed = exchange is None

    @property
    def complete(self) -> bool:
        return self._exchange is not None and self._exchange.complete

    def see(self, what: str, *said: Any, timed: bool = True) -> None:
        if self.closed:
            return
        began = now_us()
        try:
            facts = getattr(self._exchange, what)(*said, began) if timed else getattr(self._exchange, what)(*said)
            if facts:
                self._relay._offer(facts, self._minute)
        except Exception:  # the observer guard
            self._relay.observer_errors += 1
        self.spent_us += now_us() - began

    def close(self, closed_by: str, **said: Any) -> None:
        if self.closed or self._exchange is None:
            return
        self.closed = True
        try:
            facts = self._exchange.close(
                closed_by, now_us(), stall_us=self.stall_us, overhead_us=self.spent_us, **said
            )
            self._relay._offer(facts, self._minute)
        except Exception:  # the observer guard
            self._relay.observer_errors += 1


def _guard(request: web.BaseRequest) -> None:
    if request.version not in (aiohttp.HttpVersion10, aiohttp.HttpVersion11):
        raise ClientFault(505, "HTTP/1.1 only")
    if request.method in ("TRACE", "CONNECT"):
        raise ClientFault(405, f"{request.method} is not forwarded")
    if not request.raw_path.startswith("/"):
        raise ClientFault(400, "the request target must be a path")
    codings = [value for key, value in request.raw_headers if key.lower() == b"transfer-encoding"]
    if codings and (len(codings) > 1 or codings[0].strip().lower() != b"chunked"):
        raise ClientFault(501, "only the transfer coding chunked is understood")
    if codings and any(key.lower() == b"content-length" for key, _ in request.raw_headers):
        raise ClientFault(400, "Content-Length beside Transfer-Encoding")
    for _, value in request.raw_headers:
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            raise ClientFault(400, "a header value is not UTF-8") from None


def _end_to_end(raw: Headers) -> list[tuple[bytes, bytes]]:
    named = {
        name.strip().lower() for key, value in raw if key.lower() == b"connection" for name in value.split(b",")
    }
    return [(key, value) for key, value in raw if key.lower() not in _HOP_BY_HOP | named]


async def _body(request: web.BaseRequest, watch: _Watch) -> Any:
    async for chunk in request.content.iter_any():
        watch.see("request_chunk", chunk)
        yield chunk
    watch.see("request_end")


async def _read_rest(request: web.BaseRequest, watch: _Watch) -> None:
    left = _REST
    try:
        async with asyncio.timeout(1):
            async for chunk in request.content.iter_any():
                watch.see("request_chunk", chunk)
                left -= len(chunk)
                if left < 0:
                    return
            watch.see("request_end")
    except (TimeoutError, ConnectionError, aiohttp.ClientError, RuntimeError):
        return


def _response(request: web.BaseRequest, upstream: aiohttp.ClientResponse) -> web.StreamResponse:
    headers = _end_to_end(upstream.raw_headers)
    response = _Bare(status=upstream.status, reason=upstream.reason)
    for key, value in headers:
        response.headers.add(key.decode("ascii"), value.decode("utf-8", "surrogateescape"))
    sent = {key.lower() for key, _ in headers}
    bodiless = request.method == "HEAD" or upstream.status in (204, 304)
    if b"content-length" not in sent and not bodiless and request.version == aiohttp.HttpVersion11:
        response.enable_chunked_encoding()
    return response


class _Bare(web.StreamResponse):
    """A response that adds no header of its own."""

    async def _prepare_headers(self) -> None:
        theirs = {name.lower() for name in self.headers}
        await super()._prepare_headers()
        for name in ("Content-Type", "Date", "Server"):
            if name.lower() not in theirs:
                self.headers.popall(name, None)


def _bad_gateway(watch: _Watch, error: Exception) -> web.Response:
    kind = "connect" if isinstance(error, aiohttp.ClientConnectorError) else "reset"
    if isinstance(error, TimeoutError):
        kind = "timeout"
    watch.close("upstream", upstream_error=kind, status=502)
    said = {"code": -32000, "message": f"mcp-weir: the upstream could not be reached ({kind})"}
    text = json.dumps({"jsonrpc": "2.0", "id": None, "error": said})
    return web.Response(status=502, text=text, content_type="application/json")
