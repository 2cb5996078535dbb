"""P11: memory and descriptors are bounded, whatever clients and upstream do; others hardly notice."""

import asyncio
import contextlib
import hashlib
import resource
import socket
from collections.abc import AsyncIterator

import pytest

from faults.lab import misbehave, processes  # noqa: F401  its tools
from faults.lab.load import Connection, Ledger, request, steady
from faults.lab.machine import Unrest, unrest
from faults.lab.mirror import Mirror
from faults.lab.records import about, compare, drained
from faults.lab.table import Goal, at_least, at_most, judge
from faults.lab.weir import running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
RSS_MB, OTHERS_MS, OTHERS_RATE = 400.0, 100.0, 50
EVENT = 16384  # bytes of an event of an endless stream
STILL_S = 3  # so long nothing moves: on a busy machine a second may pass though much is still on its way


class Peak:
    """The highest resident memory of the relay while the block lasts, in MB."""

    def __init__(self, pid: int) -> None:
        self.pid, self.mb = pid, 0.0

    @contextlib.asynccontextmanager
    async def watched(self) -> AsyncIterator["Peak"]:
        async def look() -> None:
            while True:
                self.mb = max(self.mb, processes.rss_mb(self.pid))
                await asyncio.sleep(0.1)

        task = asyncio.create_task(look())
        try:
            yield self
        finally:
            task.cancel()


def _idle_socket(port: int, data: bytes) -> socket.socket:
    """A connection that has sent this and will not read."""
    sock = socket.create_connection(("127.0.0.1", port), 10)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.sendall(data)
    sock.setblocking(False)
    return sock


def _post(body: bytes) -> bytes:
    return b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


class Others:
    """Well-behaved clients meanwhile: some through the weir, some past it, so that the judge's own pauses show."""

    def __init__(self) -> None:
        self.through, self.direct, self.machine = Ledger(), Ledger(), Unrest()

    async def call(self, lab, lasts: float) -> None:
        """So many seconds."""
        with unrest() as self.machine:
            await asyncio.gather(
                steady(lab.weir.port, OTHERS_RATE, lasts, ledger=self.through),
                steady(lab.upstream.port, OTHERS_RATE, lasts, ledger=self.direct, prefix="direct"),
            )

    def goals(self, peak: Peak) -> tuple[Goal, ...]:
        """Memory of the relay, and how the others fared."""
        added = max(0.0, self.through.latency_ms(0.99) - self.direct.latency_ms(0.99))
        return (
            at_most("relay's memory, MB", peak.mb, RSS_MB),
            at_most("others' p99 beyond that of direct calls, ms", added, OTHERS_MS + 2 * self.machine.p99),
            at_most("others failed", len(self.through.calls) - self.through.count("answered"), 0),
        )

    @property
    def notes(self) -> str:
        """Both p99."""
        return f"p99 {self.through.latency_ms(0.99):.0f} ms through, {self.direct.latency_ms(0.99):.0f} directly"


async def test_stalled_readers(laboratory) -> None:
    async with laboratory() as lab:
        others, peak = Others(), Peak(lab.weir.relay)
        async with peak.watched():
            body = [_post(request(f"stalled-{n}", "n", "endless")) for n in range(200)]
            stalled = [await asyncio.to_thread(_idle_socket, lab.weir.port, data) for data in body]
            before = await _full_buffers(lab)
            await others.call(lab, 5)
        moved = lab.upstream.flooded - before
        for sock in stalled:
            sock.close()
        judge("P11", "200 readers that stall on endless streams", *others.goals(peak),
              at_most("bytes taken from the upstream while all stall", moved, EVENT * len(stalled)),
              bites={"stalled": len(stalled), "bytes before they stalled": before}, notes=others.notes)


async def _full_buffers(lab) -> int:
    """Wait until nothing moves any more: the kernel holds megabytes for each socket. Returns the bytes that moved."""
    moved, still = -1, 0
    for _ in range(90):
        still = still + 1 if moved == lab.upstream.flooded else 0
        if still == STILL_S:
            break
        moved = lab.upstream.flooded
        await asyncio.sleep(1)
    return moved


@pytest.mark.full
async def test_slowloris(laboratory) -> None:
    async with laboratory(head_timeout="4s") as lab:
        others, peak = Others(), Peak(lab.weir.relay)
        async with peak.watched():
            slow = [_idle_socket(lab.weir.port, b"POST /mcp HTTP/1.1\r\nHost: x\r\nX: ") for _ in range(500)]
            load = asyncio.create_task(others.call(lab, 9))
            for _ in range(7):
                await asyncio.sleep(1)
                for sock in slow:
                    with contextlib.suppress(OSError):
                        sock.send(b"a")
            await load
        still = sum(not _closed(sock) for sock in slow)
        for sock in slow:
            sock.close()
        judge("P11", "500 clients that send a byte of a head each second; head timeout 4 s", *others.goals(peak),
              at_most("still connected", still, 0), bites={"slow clients": len(slow)},
              notes=others.notes)


def _closed(sock: socket.socket) -> bool:
    """The peer has closed or reset; a last answer before that is read over."""
    try:
        while data := sock.recv(4096):
            assert data
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


async def _uploaded(port: int, size: int, number: int) -> bool:
    """A body of so many bytes in pieces, chunked; whether it was answered."""
    connection = Connection(port)
    await connection.open()
    assert connection.writer is not None
    connection.writer.write(
        f"POST /mcp HTTP/1.1\r\nHost: x\r\nX-Id: up-{number}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    for _ in range(size // 65536):
        connection.writer.write(b"10000\r\n" + b"u" * 65536 + b"\r\n")
        await connection.writer.drain()
    connection.writer.write(b"0\r\n\r\n")
    head, _ = await connection.answer()
    connection.abort()
    return head.status == 200


async def test_uploads_of_64_mib(postgres, tmp_path) -> None:
    url, size = postgres.url(postgres.database()), 64 << 20
    async with Mirror().serve() as mirror:
        with running(mirror.port, url, tmp_path) as weir:
            peak = Peak(weir.relay)
            async with peak.watched():
                done = await asyncio.gather(*(_uploaded(weir.port, size, number) for number in range(4)))
            right = hashlib.sha256(b"u" * size).hexdigest()
            altered = sum(mirror.seen.get(f"up-{number}") != right for number in range(4))
            judge("P11", "four uploads of 64 MiB at a time", at_most("relay's memory, MB", peak.mb, RSS_MB),
                  at_most("altered", altered, 0), at_most("failed", done.count(False), 0),
                  bites={"bytes": sum(mirror.sizes.values())})


@pytest.mark.parametrize(
    "size", [pytest.param(128 << 20, marks=pytest.mark.short), pytest.param(1 << 30, marks=pytest.mark.full)]
)
async def test_an_event_without_end(laboratory, size: int) -> None:
    async with laboratory() as lab:
        others, peak, got = Others(), Peak(lab.weir.relay), 0
        connection = Connection(lab.weir.port)
        async with peak.watched():
            load = asyncio.create_task(others.call(lab, 5))
            await connection.send(request("flood", "n", "flood", bytes=size))
            head = await connection.answer_head()
            async for piece in connection.pieces(head):
                got += len(piece)
            await load
        connection.abort()
        await drained(lab.url, others.through)
        judge("P11", f"one event of {size >> 20} MiB", *others.goals(peak),
              at_least("bytes that arrived", got, size), bites={"bytes": got}, notes=others.notes)


async def test_depth(laboratory) -> None:
    async with laboratory() as lab:
        others, peak = Others(), Peak(lab.weir.relay)
        deep = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","arguments":%b}}' % (
            b'{"a":' * 100_000 + b"1" + b"}" * 100_000)
        async with peak.watched():
            load = asyncio.create_task(others.call(lab, 4))
            for _ in range(30):
                connection = Connection(lab.weir.port)
                await connection.send(deep)
                await connection.answer()
                connection.abort()
            await load
        await drained(lab.url, others.through)
        found = compare(lab.url, others.through)
        judge("P11", "30 bodies nested 100,000 deep", *others.goals(peak),
              at_most("missing neighbours", len(found.missing), 0), bites={"deep bodies": 30, "bytes": len(deep)},
              notes=others.notes, about=about(lab.url, found))


async def test_descriptors_run_out(laboratory) -> None:
    async with laboratory() as lab:
        kept, others = Connection(lab.weir.port), Ledger()
        await kept.send(request("kept-1", "n"))
        await kept.answer()
        relay = lab.weir.relay
        resource.prlimit(relay, resource.RLIMIT_NOFILE, (processes.descriptors(relay) + 40,) * 2)
        hungry = [socket.create_connection(("127.0.0.1", lab.weir.port), 10) for _ in range(200)]
        await asyncio.sleep(1)
        took = processes.descriptors(relay)
        await kept.send(request("kept-2", "n"))
        head, _ = await asyncio.wait_for(kept.answer(), 10)
        for sock in hungry:
            sock.close()
        await asyncio.sleep(2)
        await steady(lab.weir.port, OTHERS_RATE, 3, ledger=others)
        kept.abort()
        judge("P11", "no descriptor left: 200 connections onto a relay that may open 40 more",
              at_most("answers to a client already there that failed", head.status != 200, 0),
              at_most("failed afterwards", len(others.calls) - others.count("answered"), 0),
              at_most("restarts", lab.weir.restarts(), 0),
              bites={"connections": len(hungry), "descriptors at the limit": took},
              about=f"{others.troubles()} {lab.weir.log.read_text()[-1500:]}")
