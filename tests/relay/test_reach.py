"""The way to the upstream: what is known of an address is used at once, and never for longer than it is true."""

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator

import pytest
import uvloop

from mcp_weir.errors import UpstreamFault
from mcp_weir.keys import Keys
from mcp_weir.relay.reach import Way
from mcp_weir.relay.server import Relay, RelaySettings
from mcp_weir.relay.upstream import Origin, Pool
from mcp_weir.relay.upstream_protocol import Head, UpstreamConnection
from mcp_weir.traffic.reading import Reading

Port = Callable[[], contextlib.AbstractContextManager[int]]
ADDRESSES = [("127.0.0.1", socket.AF_INET), ("::1", socket.AF_INET6)]


class Asker:
    """Who waits for an answer: here, for what becomes of the connection."""

    def __init__(self) -> None:
        self.fault: UpstreamFault | None = None

    def informational(self, head: Head) -> None: ...

    def response(self, head: Head | None, body: bytes, end: bool, arrived_ns: int) -> None: ...

    def failed(self, fault: UpstreamFault) -> None:
        self.fault = fault


@contextlib.contextmanager
def full() -> Iterator[int]:
    """A port whose backlog is full: it swallows SYNs."""
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            sock = stack.enter_context(socket.socket())
            sock.setblocking(False)
            sock.connect_ex(server.getsockname())
        yield server.getsockname()[1]


@contextlib.contextmanager
def nobody() -> Iterator[int]:
    """A port that refuses."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


@pytest.mark.parametrize(("host", "family"), ADDRESSES)
async def test_an_address_needs_no_lookup(host: str, family: socket.AddressFamily) -> None:
    with socket.create_server((host, 0), family=family) as server:
        way = Way(host, server.getsockname()[1])
        begun = way.begin()
        assert begun is not None
        with await way.reach(begun) as sock:
            assert sock.getpeername() == server.getsockname()


@pytest.mark.parametrize("host", ["localhost", "fe80::1%lo", "127.1"])
def test_a_name_has_to_be_looked_up(host: str) -> None:
    assert Way(host, 80).begin() is None


async def test_what_a_name_led_to_is_known_for_a_moment() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        way = Way("localhost", server.getsockname()[1])
        (await way.reach(None)).close()
        begun = way.begin()
        assert begun is not None
        (await way.reach(begun)).close()
        way._known_until = 0.0
        assert way.begin() is None


@pytest.mark.parametrize("dead", [nobody, full])
async def test_a_name_is_asked_again_where_its_last_address_leads_nowhere(dead: Port) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, dead() as port:
        way = Way("localhost", server.getsockname()[1])
        way._known, way._known_until = (socket.AF_INET, ("127.0.0.1", port)), float("inf")
        with await asyncio.wait_for(way.reach(way.begin()), 10) as sock:
            assert sock.getpeername() == server.getsockname()
        assert way._known == (socket.AF_INET, server.getsockname())


async def test_many_who_wait_are_one_lookup_and_who_leaves_takes_nobody_along() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        way = Way("localhost", server.getsockname()[1])
        waiting = [asyncio.create_task(way._resolved()) for _ in range(3)]
        await asyncio.sleep(0)
        waiting[0].cancel()
        found = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(found[0], asyncio.CancelledError)
        assert found[1] is found[2] and way._lookup is None


async def test_what_is_asked_before_it_is_open_waits_and_goes_in_order() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        pool = Pool(Origin("127.0.0.1", server.getsockname()[1]))
        connection = pool.take()
        assert connection.transport is None
        connection.ask(Asker(), b"one ", head_only=False, whole=False)
        connection.write(b"x" * 100_000)
        assert connection.write_paused, "its writer waits"
        await asyncio.wait_for(connection.drain(), 10)
        connection.write(b" two")
        far, _ = server.accept()
        with far:
            got = b""
            while not got.endswith(b" two"):
                got += await asyncio.wait_for(asyncio.to_thread(far.recv, 1 << 20), 10)
        assert got == b"one " + b"x" * 100_000 + b" two"
        connection.abort()


@pytest.mark.parametrize("turns", [0, 1, 3])
async def test_who_leaves_before_it_is_open_leaves_nothing_behind(turns: int) -> None:
    with full() as port:
        pool, asker, before = Pool(Origin("127.0.0.1", port)), Asker(), len(os.listdir("/proc/self/fd"))
        connection = pool.take()
        connection.ask(asker, b"x", head_only=False, whole=True)
        for _ in range(turns):
            await asyncio.sleep(0)
        opening = connection.opening
        assert opening is not None
        connection.abort()
        pool.release(connection)
        await asyncio.wait([opening], timeout=10)
        await asyncio.sleep(0)
        assert opening.cancelled() and asker.fault is None and connection.lost
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(("port_of", "kind"), [(nobody, "connect"), (full, "timeout")])
async def test_where_it_does_not_open_whoever_asked_hears_why(port_of: Port, kind: str) -> None:
    with port_of() as port:
        pool, asker = Pool(Origin("127.0.0.1", port, connect_timeout=0.3)), Asker()
        connection = pool.take()
        connection.ask(asker, b"x", head_only=False, whole=True)
        await asyncio.wait_for(ended(connection), 10)
        assert asker.fault is not None and asker.fault.kind == kind
        assert connection.lost and not connection.reusable


async def ended(connection: UpstreamConnection) -> None:
    assert connection.opening is not None
    await asyncio.wait([connection.opening])


def test_a_new_client_s_first_request_takes_the_quick_way_over_a_new_connection() -> None:
    """No task of its own, though neither end was there before: half of what a new stream costs."""
    uvloop.run(newcomers(20))


async def newcomers(count: int) -> None:
    async def stream(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
        await reader.read()
        writer.close()

    async with await asyncio.start_server(stream, "127.0.0.1", 0) as upstream:
        origin = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
        settings = RelaySettings(origin, Reading(Keys(b"k" * 32, "s")), drain_timeout=0.1)
        relay = Relay(settings, lambda line, minute: None, lambda minute: None)
        here = socket.create_server(("127.0.0.1", 0))
        await relay.start(here)
        try:
            for _ in range(count):
                with socket.create_connection(here.getsockname()) as client:  # it asks as it comes
                    client.sendall(b"GET /mcp HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
                    async with asyncio.timeout(10):
                        while not any(answer.started for answer in relay._exchanges.running):
                            await asyncio.sleep(0.001)
                    (connection,) = relay._gate.connections
                    assert connection.flow is not None and not connection._request_in_progress
                async with asyncio.timeout(10):
                    while relay._gate.connections:
                        await asyncio.sleep(0.001)
        finally:
            await relay.drain()
