"""SSE: what is added to each event, and what an idle stream costs: `python benchmarks/streams.py`.

Upstream and clients are one process on core 0, so that both ends read one clock; the contestant has core 1.
"""

import argparse
import asyncio
import json
import os
import resource
import statistics
import sys
import time

import processes
from processes import Contestant

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTESTANTS: dict[str, Contestant] = {
    "direct": processes.direct,
    "nginx": lambda core, port: processes.nginx(core, port),
    "weir": lambda core, port: processes.weir(core, port),
    "plain aiohttp": processes.plain_aiohttp,
}


class Upstream:
    """Answers every GET with a stream: an event each `period` seconds that says when it was sent; none when 0."""

    def __init__(self, period: float) -> None:
        self.period, self.port = period, 0
        self._number = 0

    async def start(self) -> asyncio.Server:
        """Listen on a port of its own."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=4096)
        self.port = int(server.sockets[0].getsockname()[1])
        return server

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            self._number += 1
            writer.write(HEAD)
            if self.period:
                await asyncio.sleep(self._number * 0.618034 % 1 * self.period)  # spread over the period
            while self.period:
                text = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":%d}}\n\n' % (
                    time.monotonic_ns()
                )
                writer.write(b"%x\r\n%b\r\n" % (len(text), text))
                await asyncio.sleep(self.period)
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Listener(asyncio.Protocol):
    """One client: how late each event came, in milliseconds."""

    def __init__(self, late: list[float]) -> None:
        self.late, self.transport, self._rest = late, None, b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport.write(b"GET /mcp HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        data = self._rest + data
        while (found := data.find(b'"data":')) >= 0 and (end := data.find(b"}", found)) >= 0:
            self.late.append((now - int(data[found + 7 : end])) / 1e6)
            data = data[end:]
        self._rest = data[-64:] if b'"data":' not in data else data


async def events(contestant: Contestant, streams: int, seconds: float) -> tuple[float, float, int]:
    """(p50, p99) lateness in ms and the number of events, of `streams` streams with an event a second each."""
    upstream = Upstream(1.0)
    server = await upstream.start()
    late: list[float] = []
    loop = asyncio.get_running_loop()
    with contestant(1, upstream.port) as running:
        transports = []
        for _ in range(streams):
            transport, _ = await loop.create_connection(lambda: Listener(late), "127.0.0.1", running.port)
            transports.append(transport)
        await asyncio.sleep(2)
        late.clear()
        await asyncio.sleep(seconds)
        found = sorted(late)
        await _end(transports)
    server.close()
    return found[len(found) // 2], found[int(len(found) * 0.99)], len(found)


async def _end(transports: list[asyncio.Transport]) -> None:
    """The clients leave, and the upstream gets to hear of it."""
    for transport in transports:
        transport.abort()
    await asyncio.sleep(1.5)


async def idle(contestant: Contestant, streams: int) -> float:
    """KiB for each idle stream (PSS of the contestant's processes)."""
    upstream = Upstream(0)
    server = await upstream.start()
    loop = asyncio.get_running_loop()
    with contestant(1, upstream.port) as running:
        transports = []
        for number in range(streams + 50):
            if number == 50:  # buffers and caches are warm
                await asyncio.sleep(1)
                before = running.rss_kb()
            transport, _ = await loop.create_connection(lambda: Listener([]), "127.0.0.1", running.port)
            transports.append(transport)
        await asyncio.sleep(2)
        used = running.rss_kb() - before
        await _end(transports)
    server.close()
    return used / streams


def main() -> int:
    """Print what came out."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--idle", type=int, default=4000, help="idle streams; each takes four descriptors in all")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    os.sched_setaffinity(0, {0})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    found: dict[str, dict[str, float]] = {}
    runs: dict[str, list[tuple[float, float, int]]] = {name: [] for name in CONTESTANTS}
    for _ in range(args.rounds):
        for name, contestant in CONTESTANTS.items():
            runs[name].append(asyncio.run(events(contestant, args.streams, args.seconds)))
    for name, of in runs.items():
        found[name] = {
            "event_p50_ms": round(statistics.median(run[0] for run in of), 3),
            "event_p99_ms": round(statistics.median(run[1] for run in of), 3),
            "events": sum(run[2] for run in of),
        }
    for name in ("nginx", "weir", "plain aiohttp"):
        found[name]["idle_stream_kib"] = round(asyncio.run(idle(CONTESTANTS[name], args.idle)), 1)
    print(json.dumps(found) if args.json else "\n".join(f"{name}: {row}" for name, row in found.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
