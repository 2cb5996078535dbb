"""A relay on a loop of its own, raw sockets on both sides of it: what passes is compared as bytes."""

import asyncio
import contextlib
import dataclasses
import socket
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import uvloop

from mcp_weir.keys import Keys
from mcp_weir.relay.server import Relay
from mcp_weir.relay.settings import RelaySettings
from mcp_weir.traffic.facts import Closed, Fact, Opened, Request
from mcp_weir.traffic.reading import Reading

Fields = list[tuple[bytes, bytes]]
HOPS = {b"connection", b"keep-alive", b"proxy-connection", b"te", b"trailer", b"transfer-encoding", b"upgrade"}


def end_to_end(fields: Fields) -> Fields:
    return [(name, value) for name, value in fields if name.lower() not in HOPS]


@dataclasses.dataclass
class Message:
    """A request or a response as it stood on the wire. `whole`: its framing was satisfied."""

    start: bytes
    fields: Fields
    body: bytes = b""
    whole: bool = True
    raw: bytes = b""
    informed: list["Message"] = dataclasses.field(default_factory=list)

    @property
    def status(self) -> int:
        return int(self.start.split()[1])

    @property
    def headers(self) -> Fields:
        return end_to_end(self.fields)

    def get(self, name: bytes) -> bytes | None:
        return next((value for key, value in self.fields if key.lower() == name), None)


class Peer:
    """One end of a connection, read by hand: no HTTP library may smooth anything over."""

    def __init__(self, sock: socket.socket, timeout: float = 10) -> None:
        self.sock, self.buffer, self.raw = sock, b"", b""
        sock.settimeout(timeout)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def send(self, data: bytes) -> "Peer":
        self.sock.sendall(data)
        return self

    def close(self) -> None:
        self.sock.close()

    def reset(self) -> None:
        """Close so that the other side gets a reset."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self.sock.close()

    def at_end(self) -> bool:
        """The other side has closed (waits for it)."""
        try:
            return not self.buffer and not self.sock.recv(1)
        except ConnectionError:
            return True

    def more(self) -> bool:
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionError:
            return False
        self.buffer += data
        self.raw += data
        return bool(data)

    def until(self, mark: bytes) -> bytes | None:
        while mark not in self.buffer:
            if not self.more():
                return None
        found, _, self.buffer = self.buffer.partition(mark)
        return found

    def exactly(self, size: int) -> bytes:
        parts, held = [self.buffer], len(self.buffer)
        while held < size:
            try:
                data = self.sock.recv(1 << 18)
            except ConnectionError:
                data = b""
            if not data:
                break
            parts.append(data)
            held += len(data)
        found = b"".join(parts)
        self.buffer = found[size:]
        return found[:size]

    def head(self) -> Message | None:
        text = self.until(b"\r\n\r\n")
        if text is None:
            return None
        start, *lines = text.split(b"\r\n")
        pairs = [line.partition(b":") for line in lines]
        return Message(start, [(name, value.strip(b" \t")) for name, _, value in pairs], raw=text)

    def request(self) -> Message | None:
        found = self.head()
        if found is not None:
            self._body(found, needs_end=False)
        return found

    def response(self, head_only: bool = False) -> Message:
        informed = []
        while True:
            found = self.head()
            assert found is not None, f"no response; read {self.raw[:200]!r}"
            if found.status >= 200:
                break
            informed.append(found)
        found.informed = informed
        if not head_only and found.status not in (204, 304):
            self._body(found, needs_end=True)
        return found

    def chunk(self) -> bytes | None:
        """One chunk of a chunked body; empty at its end, None where the connection broke."""
        size = self.until(b"\r\n")
        if size is None:
            return None
        length = int(size.partition(b";")[0], 16)
        if length == 0:
            while line := self.until(b"\r\n"):  # trailers: a hop may drop them
                continue
            return line
        data = self.exactly(length + 2)
        return data[:-2] if len(data) == length + 2 else None

    def _body(self, found: Message, needs_end: bool) -> None:
        coding, length = found.get(b"transfer-encoding"), found.get(b"content-length")
        if coding is not None:
            parts: list[bytes] = []
            while part := self.chunk():
                parts.append(part)
            found.body, found.whole = b"".join(parts), part is not None
        elif length is not None:
            found.body = self.exactly(int(length))
            found.whole = len(found.body) == int(length)
        elif needs_end:
            while self.more():
                continue
            found.body, self.buffer = self.buffer, b""


Script = Callable[[Peer, Message], object]


def fixed(body: bytes = b"{}", head: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n") -> Script:
    answer = b"%bContent-Length: %d\r\n\r\n%b" % (head, len(body), body)
    return lambda peer, request: peer.send(answer)


class Upstream:
    """A server by hand: every connection and request is kept; `script` answers (False: closes)."""

    def __init__(self, script: Script, wrap: Callable[[socket.socket], socket.socket] | None = None) -> None:
        self.script, self.wrap = script, wrap
        self.requests: list[Message] = []
        self.connections: list[Peer] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                sock, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        with contextlib.suppress(OSError), sock:
            peer = Peer(self.wrap(sock) if self.wrap else sock, 30)
            self.connections.append(peer)
            while (request := peer.request()) is not None:
                self.requests.append(request)
                if self.script(peer, request) is False:
                    break

    def close(self) -> None:
        self._listener.close()
        for peer in self.connections:
            peer.close()


class Weir:
    """A relay in a thread with a loop of its own; the facts it offered are in `facts`."""

    def __init__(self, origin: str, power: bool = False, **settings: object) -> None:
        self.facts: list[Fact] = []
        self.synced = 0
        self.peers: list[Peer] = []
        reading = Reading(Keys(b"k" * 32, "test"), mcp_paths=("/mcp", "/sse", "/messages/"))
        sock = socket.create_server(("127.0.0.1", 0))
        self.port: int = sock.getsockname()[1]
        self.relay = Relay(
            RelaySettings(origin, reading, **settings),  # type: ignore[arg-type]
            lambda lines: self.facts.extend(fact for line, _ in lines for fact in line), lambda minute: None,
            self._sync if power else None,
        )
        self._ready, self._stop = threading.Event(), asyncio.Event()
        self._thread = threading.Thread(target=lambda: uvloop.run(self._run(sock)), daemon=True)
        self._thread.start()
        assert self._ready.wait(10)

    async def _run(self, sock: socket.socket) -> None:
        self.loop = asyncio.get_running_loop()
        await self.relay.start(sock)
        self._ready.set()
        await self._stop.wait()
        await self.relay.drain()

    async def _sync(self) -> None:
        held = len(self.facts)
        await asyncio.sleep(0.02)
        self.synced = held

    def connect(self, timeout: float = 10) -> Peer:
        self.peers.append(Peer(socket.create_connection(("127.0.0.1", self.port)), timeout))
        return self.peers[-1]

    def ask(self, data: bytes, head_only: bool = False) -> Message:
        peer = self.connect()
        try:
            return peer.send(data).response(head_only)
        finally:
            peer.close()

    def begin_drain(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)

    def stop(self) -> None:
        for peer in self.peers:
            peer.close()
        if self._thread.is_alive():
            self.begin_drain()
        self._thread.join(30)
        assert not self._thread.is_alive()

    def of(self, kind: type) -> list:
        return [fact for fact in self.facts if isinstance(fact, kind)]

    def closed(self, count: int = 1, within: float = 15) -> list[Closed]:
        """The Closed facts, once there are so many."""
        eventually(lambda: len(self.of(Closed)) >= count, within)
        return self.of(Closed)


def eventually(true: Callable[[], object], within: float = 15) -> None:
    deadline = time.monotonic() + within
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


@pytest.fixture
def upstream() -> Iterator[Callable[..., Upstream]]:
    made: list[Upstream] = []

    def make(script: Script | None = None, **said: object) -> Upstream:
        made.append(Upstream(script or fixed(), **said))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def weir() -> Iterator[Callable[..., Weir]]:
    made: list[Weir] = []

    def make(to: Upstream | str, **settings: object) -> Weir:
        origin = to if isinstance(to, str) else f"http://127.0.0.1:{to.port}"
        settings.setdefault("drain_timeout", 1.0)
        made.append(Weir(origin, **settings))
        return made[-1]

    yield make
    for one in made:
        one.stop()
        assert one.relay.stats().observer_errors == 0


@pytest.fixture
def nobody() -> Iterator[int]:
    """A port that refuses: bound, so that nobody else is given it (a relay would talk to itself), and not listening."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


CALL = (
    b'{"jsonrpc":"2.0","id":%b,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}'
)


class Tools:
    """What tests of this folder share (test modules import nothing from each other)."""

    Message, Peer, Upstream, Weir = Message, Peer, Upstream, Weir
    Closed, Opened, Request = Closed, Opened, Request
    fixed, eventually, end_to_end = staticmethod(fixed), staticmethod(eventually), staticmethod(end_to_end)

    @staticmethod
    def call(ident: bytes = b"1") -> bytes:
        return CALL % ident

    @staticmethod
    def post(body: bytes, path: bytes = b"/mcp", more: bytes = b"") -> bytes:
        return b"POST %b HTTP/1.1\r\nHost: weir\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b" % (
            path, len(body), more, body,
        )

    @staticmethod
    def get(path: bytes = b"/mcp", more: bytes = b"") -> bytes:
        return b"GET %b HTTP/1.1\r\nHost: weir\r\n%b\r\n" % (path, more)


@pytest.fixture(scope="session")
def tools() -> Tools:
    return Tools()
