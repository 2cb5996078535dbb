"""One answer on its way: from the upstream's reads straight into the client's socket, looked at in between.

No task and no queue stand between the two sockets: what a read brings is recorded and written inside that read.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable

from mcp_weir.errors import UpstreamFault
from mcp_weir.relay.client import ClientConnection
from mcp_weir.relay.headers import write_fields
from mcp_weir.relay.heads import Known
from mcp_weir.relay.turn import Turn
from mcp_weir.relay.upstream_protocol import Head, UpstreamConnection
from mcp_weir.relay.watch import Watch

_EVENT_ENDS = (b"\n\n", b"\r\r", b"\n\r\n", b"\r\r\n")  # a blank line, however lines end (WHATWG HTML 9.2.6)
_LARGE = 16 * 1024  # from here on two writes cost less than one copy
Durable = Callable[[], Awaitable[None]]


class Answer:
    """The upstream's Receiver and the client's Flow. `finished` is called once, when nothing more will be written."""

    __slots__ = (
        "_chunked", "_ending", "_full_since", "_held", "_modern_http", "_releasing", "_whole", "client", "connection",
        "durable", "ended", "fault", "finished", "heard_us", "keep", "known", "request_whole", "sse", "started", "tail",
        "told", "turn", "watch",
    )

    def __init__(self, client: ClientConnection, watch: Watch, known: Known, keep: bool) -> None:
        self.client, self.watch, self.known = client, watch, known
        self._modern_http, self.keep = known.http11, keep and known.http11
        self.finished: Callable[[Answer], None] = nobody
        self.told = False
        self.connection: UpstreamConnection | None = None
        self.durable: Durable | None = None
        self.turn: Turn | None = None
        self.fault: UpstreamFault | None = None
        self.started = self.ended = self.sse = self.request_whole = False
        self.heard_us = 0
        self.tail = b""
        self._chunked = self._ending = self._whole = False
        self._full_since = 0
        self._held: list[bytes] | None = None
        self._releasing: asyncio.Task[None] | None = None

    # Receiver

    def informational(self, head: Head) -> None:
        """1xx go on as they are, to whoever can understand them (RFC 9110 15.2: not to HTTP/1.0)."""
        if self._modern_http:
            out = [b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason)]
            write_fields(out, head.headers)
            out.append(b"\r\n")
            self._write(b"".join(out))

    def response(self, head: Head | None, body: bytes, end: bool, arrived_ns: int) -> None:
        """Look, then write. Facts are offered before the bytes that complete them go on."""
        if self.ended:
            return
        size = len(body)
        if end and size < _LARGE and self.turn is not None and self.turn.take(self, head, body, arrived_ns):
            self._whole = True
        else:
            self.tell(self.look(head, body, end, arrived_ns), size)

    def look(self, head: Head | None, body: bytes, end: bool, arrived_ns: int) -> list[bytes]:
        """Record what one read brought; returns what is to be written for it."""
        watch, self.heard_us = self.watch, arrived_ns // 1000
        out: list[bytes] = []
        if head is not None:
            watch.response_head(head, self.heard_us)
            self._head(head, out)
        drained = False
        if self._ending and body:
            body, drained = self._up_to_event_end(body)
        if body:
            watch.response_chunk(body, self.heard_us)
            if self.sse:
                self.tail = (self.tail + body[-4:])[-4:]
            self._frame(body, out)
        watch.overhead_ns += time.monotonic_ns() - arrived_ns
        if end or drained:
            self.ended, self.keep = True, self.keep and not drained
            watch.close("complete" if end else "drain", self.heard_us)
            if self._chunked:
                out.append(b"0\r\n\r\n")
        return out

    def tell(self, out: list[bytes], size: int) -> None:
        """Write what look() has returned, of a body's piece of this size."""
        if out:
            self._write(b"".join(out) if size < _LARGE else out)
        if self.ended:
            self._finish()

    def failed(self, fault: UpstreamFault) -> None:
        """Before the head: a 502 follows. After it: the client sees an abort, never a clean end."""
        if self.ended:
            return
        self.ended, self.fault = True, fault
        if self.started:
            self.watch.close("upstream", time.monotonic_ns() // 1000)
            self.keep = False
            if self.client.transport is not None:
                self.client.transport.abort()
        self._finish()

    # Flow

    def client_full(self) -> None:
        """Back-pressure: the upstream is not read until the client takes again."""
        self._full_since = time.monotonic_ns()
        if self.connection is not None:
            self.connection.pause()

    def client_ready(self) -> None:
        """Read on; the time between was the client's."""
        self._count_stall()
        if self.connection is not None and self._held is None:
            self.connection.resume()

    def client_gone(self) -> None:
        """Its connection is lost: so is the upstream's, at once."""
        if self.connection is not None and not self.ended:
            self.ended, self.keep = True, False
            self.connection.abort()
            self._count_stall()
            self.watch.close("client", time.monotonic_ns() // 1000)
            self._held = None
            self._finish()

    def _count_stall(self) -> None:
        if self._full_since:
            self.watch.stall_us += (time.monotonic_ns() - self._full_since) // 1000
            self._full_since = 0

    # drain

    def end_stream(self) -> None:
        """End an event stream between two events: now, or with the next event's end."""
        if not self.sse or self.ended or self._whole:
            return
        if self.tail and not self.tail.endswith(_EVENT_ENDS):
            self._ending = True
            return
        self.ended, self.keep = True, False
        self.watch.close("drain", time.monotonic_ns() // 1000)
        self._write(b"0\r\n\r\n")
        self._finish()

    def cut(self) -> None:
        """Time is up: what is not whole is seen as cut."""
        self.watch.close("drain", time.monotonic_ns() // 1000)
        self.ended, self.keep = True, False
        if self.client.transport is not None:
            self.client.transport.abort()
        self._finish()

    def _up_to_event_end(self, body: bytes) -> tuple[bytes, bool]:
        seen = self.tail + body
        at = max(seen.rfind(mark) + len(mark) if mark in seen else 0 for mark in _EVENT_ENDS)
        if at <= len(self.tail):
            return body, False
        return body[: at - len(self.tail)], True

    # writing

    def _head(self, head: Head, out: list[bytes]) -> None:
        self.started = True
        if self.client.writing_paused:  # still full of the answer before
            self.client_full()
        out.append(b"HTTP/1.1 %d %b\r\n" % (head.status, head.reason))
        write_fields(out, head.headers)
        if head.framing in ("chunked", "close"):
            if self._modern_http:
                self._chunked = True
                out.append(b"Transfer-Encoding: chunked\r\n")
            else:
                self.keep = False
            self.sse = self._chunked and head.kind.lower().startswith(b"text/event-stream")
        if head.status >= 400 and not self.request_whole:
            self.keep = False  # an early answer: the rest of the request is not waited for
        out.append(b"\r\n" if self.keep else b"Connection: close\r\n\r\n")

    def _frame(self, body: bytes, out: list[bytes]) -> None:
        if self._chunked:
            out.append(b"%x\r\n" % len(body))
            out.append(body)
            out.append(b"\r\n")
        else:
            out.append(body)

    def _write(self, data: bytes | list[bytes]) -> None:
        if self._held is None and (self.durable is None or not self.watch.offered):
            transport = self.client.transport
            if transport is not None:
                transport.write(data) if isinstance(data, bytes) else transport.writelines(data)
            return
        self._hold(data if isinstance(data, bytes) else b"".join(data))

    def _hold(self, data: bytes) -> None:
        if self._held is not None:
            self._held.append(data)
            return
        self._held = [data]
        if self.connection is not None:
            self.connection.pause()
        self._releasing = asyncio.get_running_loop().create_task(self._release())

    async def _release(self) -> None:
        """--durability power: bytes go on when the facts before them are on the disk."""
        assert self.durable is not None
        while self._held:
            held, self._held = self._held, []
            self.watch.offered = False
            await self.durable()
            if self.client.transport is not None:
                self.client.transport.writelines(held)
        self._held = None
        if self.ended:
            self._finish()
        elif self.connection is not None and not self._full_since:
            self.connection.resume()

    def _finish(self) -> None:
        if self._held is None and not self.told:
            self.told = True
            self.finished(self)


def nobody(answer: Answer) -> None:
    """Nobody waits."""
