"""One connection to the upstream, parsed by llhttp (httptools). Knows HTTP/1.1 framing; knows no pool and no MCP.

Framing follows RFC 9112 6.3. llhttp is strict: obs-fold, bare LF, control characters and Content-Length beside
Transfer-Encoding in an answer are the upstream's fault and never reach a client.
"""

import asyncio
import os
import select
import time
from typing import Protocol, cast

import httptools

from mcp_weir.errors import UpstreamFault
from mcp_weir.relay.headers import Headers
from mcp_weir.relay.limits import HEAD_BYTES, INFORMATIONAL, READ_BYTES


class Head:
    """A response's head. `framing`: none (no body), length, chunked or close. `kind` is its Content-Type, as it came.

    `coded`: it has a Content-Encoding.
    """

    __slots__ = ("coded", "framing", "headers", "kind", "reason", "status")

    def __init__(self, status: int, reason: bytes, headers: Headers, framing: str) -> None:
        self.status, self.reason, self.headers, self.framing = status, reason, headers, framing
        self.kind, self.coded = b"", False


class Receiver(Protocol):
    """Who asked. Called inside the read that brought the bytes, once for each read; `arrived_ns` is when it began."""

    def informational(self, head: Head) -> None:
        """A 1xx passed."""

    def response(self, head: Head | None, body: bytes, end: bool, arrived_ns: int) -> None:
        """What one read brought: the head when it is whole, body bytes without their framing, the end."""

    def failed(self, fault: UpstreamFault) -> None:
        """The connection broke before the end."""


class UpstreamConnection(asyncio.Protocol):
    """Ask once at a time. `reusable` is true when the answer is whole and both sides may go on.

    It may be asked before it is open: what is written waits, up to READ_BYTES of it before its writer has to.
    """

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.opening: asyncio.Task[None] | None = None  # whoever makes it; no transport until then
        self._early: list[bytes] = []
        self.lost = False
        self.write_paused = False
        self.idle_since = 0.0
        self.ended = True
        self._receiver: Receiver | None = None
        self._asked_all, self._paused, self._yielding = True, False, False
        self._drained: asyncio.Future[None] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._headers: list[tuple[bytes, bytes]] = []
        self._reason = b""
        self._head: Head | None = None
        self._new_head: Head | None = None
        self._body: list[bytes] = []
        self._head_bytes = 0
        self._keep = True
        self._head_only = False
        self._informed = 0

    # asking

    def ask(self, receiver: Receiver, head: bytes, *, head_only: bool, whole: bool) -> None:
        """Send a request's head (and, when `whole`, its body): the answer goes to `receiver`."""
        self._receiver, self.ended, self._asked_all, self._head_only = receiver, False, whole, head_only
        self._head, self._head_bytes, self._keep = None, 0, True
        self._informed = 0
        self.write(head)

    def write(self, data: bytes) -> None:
        """More of the request's body, framed. Ignored when the connection is lost: failed() tells."""
        if self.lost:
            return
        if self.transport is not None:
            self.transport.write(data)
        else:
            self._early.append(data)
            self.write_paused = sum(map(len, self._early)) > READ_BYTES

    def asked_all(self) -> None:
        """The request is whole."""
        self._asked_all = True

    async def drain(self) -> None:
        """Wait until the upstream takes more. Returns at once when it never will."""
        if self.write_paused and not self.lost:
            self._drained = asyncio.get_running_loop().create_future()
            await self._drained

    def has_news(self) -> bool:
        """Bytes or a FIN wait that the loop has not read: one poll(2), for moments where being late is costly."""
        if self.transport is None or self.lost or self.transport.is_closing():
            return False
        poll = select.poll()
        poll.register(self.transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(poll.poll(0))

    @property
    def reusable(self) -> bool:
        """The exchange is over on both sides and neither means to close.

        Not after HEAD: a body that its upstream sends by mistake would be taken for the next answer.
        """
        return not self._head_only and self.ended and self._asked_all and self._keep and not self.lost

    def abort(self) -> None:
        """Close now; the receiver hears nothing more."""
        self._receiver = None
        if self.transport is not None:
            self.transport.abort()
        elif self.opening is not None:
            self.opening.cancel()
            self.opening = None
            self.not_made(None)

    def not_made(self, fault: UpstreamFault | None) -> None:
        """It never opens: nothing of what it was asked has been sent."""
        self.lost = True
        self._early.clear()
        self.resume_writing()
        receiver, self._receiver = self._receiver, None
        if receiver is not None and fault is not None:
            receiver.failed(fault)

    def pause(self) -> None:
        """Stop reading: the client does not take what we have."""
        if self.transport is not None and not self.lost and not self._paused:
            self._paused = True
            if not self._yielding:
                self.transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if self.transport is not None and not self.lost and self._paused:
            self._paused = False
            if not self._yielding:
                self.transport.resume_reading()

    def _yield(self) -> None:
        """Let others have their turn: libuv reads one socket up to 32 times before it looks at the next."""
        if self.transport is None or self.lost or self.ended or self._yielding:
            return
        self._yielding = True
        if not self._paused:
            self.transport.pause_reading()
        asyncio.get_running_loop().call_soon(self._go_on)

    def _go_on(self) -> None:
        self._yielding = False
        if self.transport is not None and not self.lost and not self._paused and not self.transport.is_closing():
            self.transport.resume_reading()

    # asyncio

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = made = cast(asyncio.Transport, transport)  # uvloop's are no subclass of it
        if self.lost:
            made.abort()
            return
        self.resume_writing()
        if self._early:
            made.writelines(self._early)
            self._early.clear()

    def data_received(self, data: bytes) -> None:
        arrived = time.monotonic_ns()
        if self.ended:  # bytes that nobody asked for: what follows could be taken for the next answer
            self._keep = False
            self.abort()
            return
        if self._head is None:
            self._head_bytes += len(data)
        fault = self._feed(data)
        receiver = self._receiver
        if receiver is not None and (self._new_head is not None or self._body or self.ended):
            body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
            head, self._new_head = self._new_head, None
            self._body.clear()
            receiver.response(head, body, self.ended, arrived)
        if fault is not None and not self.ended:
            self._fail(fault)
        elif self._head is None and self._head_bytes > HEAD_BYTES:
            self._fail(UpstreamFault("protocol", "the upstream's head is too large"))
        elif len(data) >= READ_BYTES:
            self._yield()

    def _feed(self, data: bytes) -> UpstreamFault | None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            return UpstreamFault("protocol", "the upstream switched protocols unasked")
        except httptools.HttpParserCallbackError as error:
            self._keep = False
            cause = error.__context__
            return cause if isinstance(cause, UpstreamFault) else UpstreamFault("protocol", "the answer is not HTTP")
        except httptools.HttpParserError:
            self._keep = False
            return UpstreamFault("protocol", "the answer is not HTTP/1.1")
        return None

    def eof_received(self) -> bool:
        return False  # close: connection_lost settles what the end means

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self.resume_writing()
        if exc is not None and not self.ended:
            self._read_last_words()
        receiver = self._receiver
        if receiver is None or self.ended:
            return
        if exc is None and self._head is not None and self._head.framing == "close":
            self.ended = True
            receiver.response(None, b"", True, time.monotonic_ns())
            return
        self._fail(UpstreamFault("reset", "the upstream closed the connection"))

    def _read_last_words(self) -> None:
        """A failed write closes the transport though an early answer (413, then a reset) may wait in the socket.

        Its descriptor is open until connection_lost returns; with TLS the bytes are not readable, and are lost.
        """
        if self.transport is None or self.transport.get_extra_info("sslcontext") is not None:
            return
        handle = self.transport.get_extra_info("socket").fileno()
        try:
            while not self.ended and self._receiver is not None and (data := os.read(handle, READ_BYTES)):
                self.data_received(data)
        except OSError:
            return

    def pause_writing(self) -> None:
        self.write_paused = True

    def resume_writing(self) -> None:
        self.write_paused = False
        if self._drained is not None:
            if not self._drained.done():
                self._drained.set_result(None)
            self._drained = None

    def _fail(self, fault: UpstreamFault) -> None:
        receiver, self._keep = self._receiver, False
        self.abort()
        if receiver is not None:
            receiver.failed(fault)

    # httptools

    def on_message_begin(self) -> None:
        if self.ended:
            raise UpstreamFault("protocol", "more than one answer to one request")
        self._headers = []
        self._reason = b""

    def on_status(self, status: bytes) -> None:
        self._reason += status

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head is None:  # else a trailer
            self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            raise UpstreamFault("protocol", "the answer's version is not HTTP/1")
        if status < 200:
            if status == 101:
                raise UpstreamFault("protocol", "the upstream switched protocols unasked")
            self._informed += 1
            if self._informed > INFORMATIONAL:
                raise UpstreamFault("protocol", "1xx without end")
            self._head_bytes = 0
            if self._receiver is not None:
                self._receiver.informational(Head(status, self._reason, tuple(self._headers), "none"))
            return
        head = Head(status, self._reason, tuple(self._headers), "close")
        self._read(head)
        self._head = self._new_head = head
        self._keep = self._parser.should_keep_alive() and head.framing != "close"
        if self._head_only:  # llhttp cannot be told that HEAD was asked: its parser would wait for a body
            self.ended = True

    def _read(self, head: Head) -> None:
        """What a head says of its body. A name's length tells most apart; lower() is for the rest."""
        if self._head_only or head.status in (204, 304):
            head.framing = "none"
            return
        for name, value in head.headers:
            size = len(name)
            if size < 12:
                continue
            if size == 14 and name.lower() == b"content-length":
                head.framing = "length"
            elif size == 12 and not head.kind and name.lower() == b"content-type":
                head.kind = value
            elif size == 16 and name.lower() == b"content-encoding":
                head.coded = True
            elif size == 17 and name.lower() == b"transfer-encoding":
                if head.framing == "chunked" or value.strip().lower() != b"chunked":
                    raise UpstreamFault("protocol", "only the transfer coding chunked is understood")
                head.framing = "chunked"

    def on_body(self, body: bytes) -> None:
        if self._head_only:
            self._keep = False
        else:
            self._body.append(body)

    def on_message_complete(self) -> None:
        if self._head is not None:
            self.ended = True
