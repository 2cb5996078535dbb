"""Answers keep the requests' order, wherever aiohttp's task stands when the next request comes."""

import asyncio
import contextlib
import itertools
import socket

from mcp_weir.keys import Keys
from mcp_weir.relay.server import Relay, RelaySettings
from mcp_weir.traffic.reading import Reading

ROUNDS, CLIENTS = 40, 16


class Echo:
    """An upstream that answers each body with itself, every third a little later."""

    def __init__(self) -> None:
        self._numbers = itertools.count()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                body = await reader.readexactly(int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0]))
                if next(self._numbers) % 3 == 0:
                    await asyncio.sleep(0.002)
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()


def request(body: bytes, more: bytes = b"") -> bytes:
    return b"POST /mcp HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n%b" % (more, len(body), body)


def answer(conn: socket.socket, rest: bytes) -> tuple[bytes, bytes]:
    """(the next answer's body, what came after it)."""
    while b"\r\n\r\n" not in rest:
        rest += conn.recv(65536)
    head, _, rest = rest.partition(b"\r\n\r\n")
    length = int(head.partition(b"Content-Length: ")[2].split(b"\r\n")[0])
    while len(rest) < length:
        rest += conn.recv(65536)
    return rest[:length], rest[length:]


def ask(port: int) -> list[list[bytes]]:
    """A request that needs the task; the moment it is answered two more, one behind the other."""
    got: list[list[bytes]] = [[] for _ in range(CLIENTS)]
    with contextlib.ExitStack() as stack:
        conns = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 30)) for _ in range(CLIENTS)]
        rests = [b""] * CLIENTS
        for number in range(ROUNDS):
            for name, conn in enumerate(conns):
                body = b"%d-%d-0" % (name, number)
                conn.sendall(request(body, b"X-New: %b\r\n" % body)[:-1])
            for conn in conns:
                conn.sendall(b"0")
            for name, conn in enumerate(conns):
                body, rests[name] = answer(conn, rests[name])
                got[name].append(body)
                second, third = (request(b"%d-%d-%d" % (name, number, part)) for part in (1, 2))
                for part in (second + third,) if number % 4 else (second, third):
                    conn.sendall(part)
            for name, conn in enumerate(conns):
                for _ in range(2):
                    body, rests[name] = answer(conn, rests[name])
                    got[name].append(body)
    return got


async def test_a_busy_client_is_answered_in_order() -> None:
    upstream = await asyncio.start_server(Echo(), "127.0.0.1", 0)
    origin = f"http://127.0.0.1:{upstream.sockets[0].getsockname()[1]}"
    with socket.create_server(("127.0.0.1", 0)) as here:
        relay = Relay(RelaySettings(origin, Reading(Keys(b"k" * 32, "s"))), lambda *_: True, lambda _: None)
        await relay.start(here)
        answered = await asyncio.to_thread(ask, here.getsockname()[1])
        await relay.drain()
    upstream.close()
    await asyncio.sleep(0.1)  # its connections hear of it
    for name, got in enumerate(answered):
        assert got == [b"%d-%d-%d" % (name, number, part) for number in range(ROUNDS) for part in range(3)]
