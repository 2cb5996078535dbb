"""One HTTP exchange, watched: chunks in, facts out. Pure; bounded by the reading's body_limit; never touches bytes.

May not know sockets, clocks or disks: time (CLOCK_MONOTONIC, microseconds) is an argument.
"""

import dataclasses
from urllib.parse import parse_qs

import msgspec

from mcp_weir.traffic.facts import Answer, Cancel, Closed, Fact, Opened, Request
from mcp_weir.traffic.messages import answer_of, clean, json_id, request_of
from mcp_weir.traffic.reading import Reading
from mcp_weir.wire.encoding import decode
from mcp_weir.wire.jsonrpc import Malformed, Message, read_messages
from mcp_weir.wire.sse import SseDecoder

_SERVER_MEMBERS = 0x80_0000
_MODERN = "2026-07-28"


@dataclasses.dataclass(frozen=True, slots=True)
class RequestHead:
    """A request head as it came. `path` is without its query."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[bytes, bytes], ...]
    client_addr: str | None
    connection: int
    connection_seq: int
    proxied: bool = False


class _CancelParams(msgspec.Struct):
    requestId: msgspec.Raw


def is_mcp_path(reading: Reading, path: str) -> bool:
    """A configured path, with or without its trailing slash. What merely lies beneath is another resource."""
    return any(path == known or path.rstrip("/") == known.rstrip("/") for known in reading.mcp_paths)


def _header(headers: tuple[tuple[bytes, bytes], ...], name: bytes) -> bytes | None:
    return next((value for key, value in headers if key.lower() == name), None)


class Exchange:
    """Feed it what passes, in order; what its methods return must be spooled before the chunk goes on."""

    def __init__(self, reading: Reading, seq: int, head: RequestHead, wall_us: int, mono_us: int) -> None:
        self._reading, self._seq, self._head, self._opened_us = reading, seq, head, mono_us
        self._opened: Opened | None = self._open(wall_us)
        self._http_method, self._has_session = head.method, self._opened.session is not None
        self._version = self._opened.protocol_version
        self._body, self._size, self._oversized = bytearray(), 0, False
        self._requests: dict[tuple[str, str], Request] = {}
        self._secrets: dict[int, bytes] = {}
        self._new: list[Fact] = []
        self._status: int | None = None
        self._kind = "none"
        self._headers: tuple[tuple[bytes, bytes], ...] = ()
        self._sse: SseDecoder | None = None
        self._answer, self._answer_size, self._expected = bytearray(), 0, -1
        self._first_byte: int | None = None
        self._first_event: int | None = None
        self._events = self._notifications = self._progress = self._server_requests = self._messages = 0
        self._flags: set[str] = set()
        self._done = False
        self._error_id: bytes | None = None

    @property
    def error_id(self) -> bytes | None:
        """The JSON-RPC id, as it came, that an error answer to this exchange must carry; None: no single request."""
        return self._error_id

    @property
    def at_event_boundary(self) -> bool:
        """The response is an SSE stream and what has been seen of it ends between two events."""
        return self._sse is not None and self._sse.between_events

    @property
    def complete(self) -> bool:
        """The response body is known to be whole: its Content-Length has been reached."""
        return 0 <= self._expected <= self._answer_size

    def request_chunk(self, data: bytes, mono_us: int) -> None:
        """A piece of the request's body."""
        self._size += len(data)
        if self._size > self._reading.body_limit:
            self._oversized = True
            self._body.clear()
        elif not self._oversized:
            self._body += data

    def request_end(self, mono_us: int) -> None:
        """The request's body is whole: read it."""
        if self._oversized:
            self._flags.add("oversized")
            return
        if self._head.method != "POST" or not self._body:
            return
        coding = (_header(self._head.headers, b"content-encoding") or b"").decode("latin-1")
        body = decode(bytes(self._body), coding, self._reading.body_limit)
        self._body.clear()
        if body is None:
            self._flags.add("undecoded")
            return
        found = read_messages(body)
        if isinstance(found, Malformed):
            self._flags.add("malformed")
            return
        batch = body.lstrip()[:1] == b"["
        for message, size in found:
            self._message(message, size, mono_us, sender="client", in_batch=batch)
        if not batch and found[0][0].is_request and len(bytes(found[0][0].id)) <= 1024:
            self._error_id = bytes(found[0][0].id)
        if found and not self._requests:
            self._flags.add("notification_only")
        self._check_hints()

    def response_head(self, status: int, headers: tuple[tuple[bytes, bytes], ...], mono_us: int) -> None:
        """The response's head came."""
        self._status, self._headers = status, headers
        kind = (_header(headers, b"content-type") or b"").split(b";")[0].strip().lower()
        self._kind = {b"application/json": "json", b"text/event-stream": "sse"}.get(kind, "none")
        coded = (_header(headers, b"content-encoding") or b"identity") != b"identity"
        if self._kind == "sse" and coded:
            self._flags.add("undecoded")
        elif self._kind == "sse":
            self._sse = SseDecoder(self._reading.body_limit)
        length = _header(headers, b"content-length")
        if length is not None and length.isdigit() and len(length) < 19:
            self._expected = int(length)

    def response_chunk(self, data: bytes, mono_us: int) -> list[Fact]:
        """A piece of the response's body. Returns facts to spool before it is written on."""
        if self._first_byte is None:
            self._first_byte = mono_us - self._opened_us
        self._answer_size += len(data)
        if self._sse is not None:
            return self._events_in(self._sse, data, mono_us)
        if self._kind == "json":
            if self._answer_size <= self._reading.body_limit:
                self._answer += data
            else:
                self._answer.clear()
        return []

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
        if status is not None:
            self._status = status
        if self._kind == "json" and closed_by == "complete" and self._answer_size:
            self._read_answer(mono_us)
        if self._is_probe():
            self._flags.add("probe")
        self._new.append(Closed(
            exchange=self._seq, at_us=mono_us - self._opened_us, closed_by=closed_by, status=self._status,
            response_kind=self._kind, upstream_error=upstream_error, first_byte_us=self._first_byte,
            first_event_us=self._first_event, request_bytes=self._size, response_bytes=self._answer_size,
            events=self._events, notifications=self._notifications, progress_count=self._progress,
            stall_us=stall_us, overhead_us=overhead_us, flags=tuple(sorted(self._flags)),
        ))
        return self._take()

    def _open(self, wall_us: int) -> Opened:
        head, keys = self._head, self._reading.keys
        session = _header(head.headers, b"mcp-session-id")
        source = "header" if session is not None else None
        transport = "http"
        if head.path.rstrip("/").endswith("/sse"):
            transport = "sse"
        elif head.path.startswith("/messages"):
            transport = "messages"
            named = parse_qs(head.query).get("session_id") or parse_qs(head.query).get("sessionId")
            session, source = (named[0].encode(), "endpoint") if named else (session, source)
        credential = _header(head.headers, b"authorization")
        agent = _header(head.headers, b"user-agent")
        version = _header(head.headers, b"mcp-protocol-version")
        resumes = _header(head.headers, b"last-event-id")
        return Opened(
            exchange=self._seq, wall_us=wall_us, mono_us=self._opened_us, http_method=head.method,
            transport=transport, session=keys.session_key(session) if session is not None else None,
            session_source=source,
            session_id=session.decode("latin-1") if session and self._reading.keep_session_ids else None,
            protocol_version=clean(version.decode("latin-1"), 32) if version else None,
            principal_key=keys.principal_key(credential) if credential else None, client_addr=head.client_addr,
            user_agent=clean(agent.decode("utf-8", "replace")) if agent else None, connection=head.connection,
            connection_seq=head.connection_seq, proxied=head.proxied,
            resumes=keys.digest("event-id", resumes) if resumes is not None else None,
        )

    def _events_in(self, sse: SseDecoder, data: bytes, mono_us: int) -> list[Fact]:
        before = len(self._new)
        for event in sse.feed(data):
            if event.data is None:
                continue
            self._events += 1
            if self._first_event is None:
                self._first_event = mono_us - self._opened_us
            if event.oversized:
                self._flags.add("oversized")
            elif event.data and event.event == "message":
                found = read_messages(event.data)
                if isinstance(found, Malformed):
                    self._flags.add("malformed")
                    continue
                for message, size in found:
                    self._message(message, size, mono_us, sender="server", in_batch=False)
        return self._take() if len(self._new) > before else []

    def _read_answer(self, mono_us: int) -> None:
        if self._answer_size > self._reading.body_limit:
            self._flags.add("oversized")
            return
        coding = (_header(self._headers, b"content-encoding") or b"").decode("latin-1")
        body = decode(bytes(self._answer), coding, self._reading.body_limit)
        if body is None:
            self._flags.add("undecoded")
            return
        found = read_messages(body)
        if isinstance(found, Malformed):
            return  # an error page that says it is JSON: the status tells
        for message, size in found:
            self._message(message, size, mono_us, sender="server", in_batch=False)

    def _message(self, message: Message, size: int, mono_us: int, *, sender: str, in_batch: bool) -> None:
        at_us = mono_us - self._opened_us
        if message.is_request:
            self._request(message, size, at_us, sender, in_batch)
        elif message.is_response:
            self._response(message, size, at_us, "server" if sender == "client" else "client")
        else:
            self._notifications += 1
            if message.method == "notifications/progress":
                self._progress += 1
            elif message.method == "notifications/cancelled":
                self._cancel(message, at_us, sender)

    def _request(self, message: Message, size: int, at_us: int, sender: str, in_batch: bool) -> None:
        member = len(self._requests) - self._server_requests
        if sender == "server":
            member = _SERVER_MEMBERS + self._server_requests
            self._server_requests += 1
        fact = request_of(
            self._reading, message, size, exchange=self._seq, member=member, at_us=at_us, direction=sender,
            in_batch=in_batch,
        )
        self._version = fact.protocol_version or self._version
        self._requests[sender, fact.jsonrpc_id] = fact
        self._secrets[member] = bytes(message.params)[:65536]
        self._new.append(fact)

    def _response(self, message: Message, size: int, at_us: int, direction: str) -> None:
        # only a request of this exchange and of the other side can be meant; ids repeat everywhere else
        asked = self._requests.get((direction, json_id(self._reading, message.id))) if direction == "client" else None
        session = _header(self._headers, b"mcp-session-id")
        fact: Answer = answer_of(
            self._reading, message, size, exchange=self._seq, at_us=at_us, direction=direction, asked=asked,
            secrets=self._secrets.get(asked.member, b"") if asked else b"", session_id=session,
            progress=self._progress,
        )
        self._new.append(fact)

    def _cancel(self, message: Message, at_us: int, sender: str) -> None:
        try:
            named = msgspec.json.decode(message.params, type=_CancelParams).requestId
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return
        self._new.append(
            Cancel(exchange=self._seq, at_us=at_us, direction=sender, jsonrpc_id=json_id(self._reading, named))
        )

    def _check_hints(self) -> None:
        said = _header(self._head.headers, b"mcp-method")
        if said is None or len(self._requests) != 1 or (self._version or "") < _MODERN:
            return
        (request,) = self._requests.values()
        if said.decode("latin-1") != request.method:
            self._flags.add("header_mismatch")

    def _is_probe(self) -> bool:
        if self._http_method in ("HEAD", "OPTIONS"):
            return True
        refused = self._status is not None and 400 <= self._status < 500
        return self._http_method == "GET" and not self._has_session and refused

    def _take(self) -> list[Fact]:
        facts: list[Fact] = [*([self._opened] if self._opened else []), *self._new]
        self._opened, self._new = None, []
        return facts
