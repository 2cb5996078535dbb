"""One HTTP exchange, watched: chunks in, facts out. Pure; bounded by the reading's body_limit; never touches bytes.

May not know sockets, clocks or disks: time (CLOCK_MONOTONIC, microseconds) is an argument.
"""

from urllib.parse import urlsplit

from mcp_weir.traffic.asked import Said
from mcp_weir.traffic.conversation import MODERN, Conversation
from mcp_weir.traffic.facts import Assigned, Closed, EventIds, Fact, Opened
from mcp_weir.traffic.opening import RequestHead, endpoint_session, is_mcp_path, opened_of, said_by
from mcp_weir.traffic.reading import Reading
from mcp_weir.traffic.text import clean
from mcp_weir.wire.encoding import Decoder, decode
from mcp_weir.wire.headers import Headers, index, media_type, mirrored
from mcp_weir.wire.jsonrpc import read_messages
from mcp_weir.wire.message import Messages
from mcp_weir.wire.sse import Event, SseDecoder

__all__ = ["Exchange", "RequestHead", "is_mcp_path"]
_IDS_MAX = 256
_ERROR_ID_MAX = 1024
_KINDS = {b"application/json": "json", b"text/event-stream": "sse"}


class _Body:
    """What has been seen of a body. The usual body is one chunk, which is kept as it came and never copied."""

    __slots__ = ("size", "oversized", "_first", "_more", "_limit")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.size = 0
        self.oversized = False
        self._first = b""
        self._more: bytearray | None = None

    def add(self, data: bytes) -> None:
        self.size += len(data)
        if self.size > self._limit:
            self.oversized = True
            self.drop()
        elif not self._first:
            self._first = data
        elif self._more is None:
            self._more = bytearray(self._first) + data
        else:
            self._more += data

    def whole(self) -> bytes:
        return self._first if self._more is None else bytes(self._more)

    def drop(self) -> None:
        self._first, self._more = b"", None


class Exchange:
    """Feed it what passes, in order; what its methods return must be spooled before the chunk goes on."""

    __slots__ = (
        "error_id", "_reading", "_seq", "_head", "_sent", "_opened_us", "_opened", "_has_session", "_version", "_body",
        "_talk", "_status", "_kind", "_got", "_sse", "_coding", "_answer", "_expected", "_first_byte", "_first_event",
        "_events", "_ids", "_unread_us", "_flags", "_method", "_done",
    )

    def __init__(self, reading: Reading, seq: int, head: RequestHead, wall_us: int, mono_us: int) -> None:
        self._reading, self._seq, self._head, self._opened_us = reading, seq, head, mono_us
        said = head.said or said_by(reading, head.method, head.path, head.query, head.headers)
        self._sent = said.headers
        opened = opened_of(said, head, seq, wall_us, mono_us)
        self._opened: Opened | None = opened
        self._has_session, self._version = opened.session is not None, opened.protocol_version
        self._body, self._answer = _Body(reading.body_limit), _Body(reading.body_limit)
        self._talk = Conversation(reading, seq, Said(self._sent, head.query))
        self._status: int | None = None
        self._kind = "none"
        self._got: dict[bytes, bytes] = {}
        self._sse: SseDecoder | None = None
        self._coding: Decoder | None = None
        self._expected = -1
        self._first_byte: int | None = None
        self._first_event: int | None = None
        self._events = 0
        self._ids: list[bytes] = []
        self._unread_us: int | None = None
        self._flags = self._talk.flags
        self._method: str | None = None
        self._done = False
        self.error_id: bytes | None = None
        """The JSON-RPC id, as it came, that an error answer to this exchange must carry; None: no single request."""

    @property
    def at_event_boundary(self) -> bool:
        """The response is an SSE stream and what has been seen of it ends between two events."""
        return self._sse is not None and self._coding is None and self._sse.between_events

    @property
    def owes_answer(self) -> bool:
        """A request of the client waits for its answer here. A subscription waits for nothing: it lasts."""
        return any(asked.fact.method != "subscriptions/listen" for asked in self._talk.waiting)

    @property
    def complete(self) -> bool:
        """The response body is known to be whole: its Content-Length has been reached."""
        return 0 <= self._expected <= self._answer.size

    def request_chunk(self, data: bytes, mono_us: int) -> None:
        """A piece of the request's body."""
        self._body.add(data)

    def request_end(self, mono_us: int) -> None:
        """The request's body is whole: read it."""
        body = self._body
        if body.oversized:
            self._flags.add("oversized")
            return
        if self._head.method != "POST" or not body.size:
            return
        plain: bytes | None = body.whole()
        if b"content-encoding" in self._sent:
            plain = decode(body.whole(), self._sent[b"content-encoding"], self._reading.body_limit)
        body.drop()
        if plain is None:
            self._flags.add("undecoded")
            return
        found = read_messages(plain)
        self._talk.hear(found, mono_us - self._opened_us, "client")
        if found.members and not self._talk.requests:
            self._flags.add("notification_only")
        if not found.batch and found.members:
            self._single(found)

    def response_head(self, status: int, headers: Headers, mono_us: int) -> None:
        """The response's head came."""
        self._status = status
        got = self._got = index(headers)
        self._talk.said.session_id = got.get(b"mcp-session-id") or None
        self._kind = _KINDS.get(media_type(got.get(b"content-type", b"")[:256]), "none")
        if self._kind == "sse":
            self._sse = SseDecoder(self._reading.body_limit)
            coding = got.get(b"content-encoding", b"").strip().lower()
            if coding not in (b"", b"identity"):
                self._coding = Decoder(coding, self._reading.body_limit)
        length = got.get(b"content-length")
        if length is not None and length.isdigit() and len(length) < 19:
            self._expected = int(length)

    def response_chunk(self, data: bytes, mono_us: int) -> list[Fact]:
        """A piece of the response's body. Returns facts to spool before it is written on."""
        at_us = mono_us - self._opened_us
        if self._first_byte is None:
            self._first_byte = at_us
        if self._kind == "json":
            self._answer.add(data)
            return []
        self._answer.size += len(data)
        if self._sse is None:
            return []
        if self._coding is not None:
            plain = self._coding.feed(data)
            if plain is None:
                self._flags.add("undecoded")
                self._sse, self._unread_us = None, at_us
                return []
            data = plain
        for event in self._sse.feed(data):
            self._event(event, at_us)
        return self._take() if self._talk.facts or self._ids else []

    def sweep(self) -> list[Fact]:
        """What is known of an exchange that is still running."""
        return self._take()

    def close(
        self, closed_by: str, mono_us: int, *, upstream_error: str | None = None, status: int | None = None,
        stall_us: int = 0, overhead_us: int = 0,
    ) -> list[Fact]:
        """The exchange is over. The second call returns nothing."""
        if self._done:
            return []
        self._done = True
        at_us = mono_us - self._opened_us
        if status is not None:
            self._status = status
        if self._kind == "json" and self._answer.size and (closed_by == "complete" or self.complete):
            self._read_answer(at_us)
        if self._unread_us is not None and closed_by == "complete" and (self._status or 500) < 400:
            self._talk.unread(self._unread_us, self._answer.size)
        self._talk.unnamed()
        self._assigned_late(at_us)
        if self._is_probe():
            self._flags.add("probe")
        talk = self._talk
        talk.facts.append(Closed(
            exchange=self._seq, at_us=at_us, closed_by=closed_by, status=self._status, response_kind=self._kind,
            upstream_error=upstream_error, first_byte_us=self._first_byte, first_event_us=self._first_event,
            request_bytes=self._body.size, response_bytes=self._answer.size, events=self._events,
            notifications=talk.notifications, progress_count=talk.progress, stall_us=stall_us,
            overhead_us=overhead_us, flags=tuple(sorted(self._flags)) if self._flags else (),
        ))
        return self._take()

    def _single(self, found: Messages) -> None:
        """The body was one message: what an error must be addressed to, and whether the headers tell the same."""
        message, kind, _ = found.members[0]
        self._method = message.method
        if kind == "request":
            ident = bytes(message.id)
            self.error_id = ident if len(ident) <= _ERROR_ID_MAX else None
        lone = self._talk.lone
        said = lone.fact.protocol_version if lone else None
        if (said or self._version or "") < MODERN or kind == "response" or message.method == "initialize":
            return  # mcp-remote sends Mcp-Method with a legacy initialize: without the era it proves nothing
        name = self._sent.get(b"mcp-name")
        differs = (
            said is not None and self._version not in (None, said)
            or self._sent.get(b"mcp-method", message.method.encode()) != message.method.encode()
            or name is not None and lone is not None and lone.mirrored not in (None, mirrored(name))
        )
        if differs:
            self._flags.add("header_mismatch")

    def _event(self, event: Event, at_us: int) -> None:
        if event.id:
            self._ids.append(self._reading.keys.digest("event-id", event.id))
        if event.data is None:
            return
        self._events += 1
        if self._first_event is None:
            self._first_event = at_us
        if event.oversized:
            self._flags.add("oversized")
            self._unread_us = at_us
        elif event.event == "message":
            if event.data:  # none: the priming event of 2025-11-25
                self._talk.hear(read_messages(event.data), at_us, "server")
        elif event.event == "endpoint" and self._head.method == "GET":
            self._endpoint(event.data, at_us)

    def _endpoint(self, url: bytes, at_us: int) -> None:
        """HTTP+SSE (2024-11-05): the first event names the URL, and in its query the session, for POSTs."""
        try:
            named = endpoint_session(urlsplit(url.decode("utf-8", "replace").strip()).query)
        except ValueError:
            return
        if named:
            self._assigned(named, "endpoint", at_us)

    def _assigned_late(self, at_us: int) -> None:
        """`initialize` was taken and its answer will come on another stream: the head has named the session."""
        session = self._talk.said.session_id
        lone = self._talk.lone if session else None  # few answers name one
        if session and lone and lone.fact.method == "initialize" and 200 <= (self._status or 0) < 300:
            self._assigned(session, "header", at_us)

    def _assigned(self, session: bytes, source: str, at_us: int) -> None:
        raw = clean(session.decode("utf-8", "replace")) if self._reading.keep_session_ids else None
        key = self._reading.keys.session_key(session)
        self._talk.facts.append(
            Assigned(exchange=self._seq, at_us=at_us, session=key, session_source=source, session_id=raw)
        )

    def _read_answer(self, at_us: int) -> None:
        body = self._answer
        plain: bytes | None = None if body.oversized else body.whole()
        if plain and b"content-encoding" in self._got:
            plain = decode(plain, self._got[b"content-encoding"], self._reading.body_limit)
        body.drop()
        if plain is None:
            self._flags.add("oversized" if body.oversized else "undecoded")
            self._unread_us = at_us
            return
        found = read_messages(plain)
        if found.malformed and not self._owes_an_answer():
            found.malformed = False
        self._talk.hear(found, at_us, "server", self._status or 0)

    def _owes_an_answer(self) -> bool:
        """This body ought to be JSON-RPC: not an error page that says it is JSON, nor HTTP+SSE's "Accepted"."""
        status = self._status or 500
        return self._talk.requests > 0 and status < 400 and status != 202 and not endpoint_session(self._head.query)

    def _is_probe(self) -> bool:
        method, status = self._head.method, self._status
        refused = status is not None and 400 <= status < 500
        if method == "POST":  # first, for nearly all are
            return self._method == "server/discover" and (refused or self._talk.refused)
        if method in ("HEAD", "OPTIONS"):
            return True
        if status == 405 and method in ("GET", "DELETE"):
            return True  # by the transport of every revision: no stream is offered, no session ended by its client
        return method == "GET" and refused and not self._has_session

    def _take(self) -> list[Fact]:
        facts: list[Fact] = self._talk.facts
        if self._ids:
            ids, self._ids = self._ids, []
            first = [EventIds(exchange=self._seq, ids=tuple(ids[at : at + _IDS_MAX])) for at in
                     range(0, len(ids), _IDS_MAX)]
            facts = [*first, *facts]
        if self._opened is not None:
            facts = [self._opened, *facts]
            self._opened = None
        self._talk.facts = []
        return facts
