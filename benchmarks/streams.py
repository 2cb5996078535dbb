"""SSE: what is added to each event, and what an idle stream costs: `python benchmarks/streams.py`.

Upstream and clients are one process on core 0, so that both ends read one clock; the contestant has core 1.
"""

import asyncio
import os
import resource
import statistics
import sys
import time

import processes
import results
from processes import Contestant

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
CONTESTANTS: dict[str, Contestant] = {
    "direct": processes.direct,
    "nginx": lambda core, port: processes.nginx(core, port),
    "weir": lambda core, port: processes.weir(core, port),
    "plain aiohttp proxy": processes.plain_aiohttp,
}


def event() -> bytes:
    """One event, chunked, that says when it was sent."""
    text = b'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":%d}}\n\n' % time.monotonic_ns()
    return b"%x\r\n%b\r\n" % (len(text), text)


class Upstream:
    """Answers every GET with a stream: an event at once and then each `period` seconds, that say when they were sent.

    No event at all when `period` is 0.
    """

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
            writer.write(HEAD + (event() if self.period else b""))
            if self.period:
                await asyncio.sleep(self._number * 0.618034 % 1 * self.period)  # spread over the period
            while self.period:
                writer.write(event())
                await asyncio.sleep(self.period)
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


class Listener(asyncio.Protocol):
    """One client: how late each event came, in milliseconds; the first one counted from the request."""

    def __init__(self, late: list[float], first: list[float]) -> None:
        self.late, self._first, self._rest, self._asked_ns = late, first, b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._asked_ns = time.monotonic_ns()
        transport.write(b"GET /mcp HTTP/1.1\r\nHost: bench\r\nAccept: text/event-stream\r\n\r\n")  # type: ignore[attr-defined]

    def data_received(self, data: bytes) -> None:
        now = time.monotonic_ns()
        data = self._rest + data
        while (found := data.find(b'"data":')) >= 0 and (end := data.find(b"}", found)) >= 0:
            if self._asked_ns:
                self._first.append((now - self._asked_ns) / 1e6)
                self._asked_ns = 0
            else:
                self.late.append((now - int(data[found + 7 : end])) / 1e6)
            data = data[end:]
        self._rest = data[-64:] if b'"data":' not in data else data


async def events(contestant: Contestant, streams: int, seconds: float) -> dict[str, list[float]]:
    """Lateness in ms of first events, one stream opened after another; and of later ones, one a second each."""
    upstream = Upstream(1.0)
    server = await upstream.start()
    late: list[float] = []
    first: list[float] = []
    loop = asyncio.get_running_loop()
    with contestant(1, upstream.port) as running:
        transports = []
        for number in range(streams):
            transport, _ = await loop.create_connection(lambda: Listener(late, first), "127.0.0.1", running.port)
            transports.append(transport)
            while len(first) <= number:
                await asyncio.sleep(0.0005)
        await asyncio.sleep(2)
        late.clear()
        await asyncio.sleep(seconds)
        found = {"first": sorted(first), "event": sorted(late)}
        await _end(transports)
    server.close()
    return found


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
            transport, _ = await loop.create_connection(lambda: Listener([], []), "127.0.0.1", running.port)
            transports.append(transport)
        await asyncio.sleep(2)
        used = running.rss_kb() - before
        await _end(transports)
    server.close()
    return used / streams


def summary(runs: list[dict[str, list[float]]]) -> dict[str, float]:
    """Medians of the rounds' percentiles."""
    found: dict[str, float] = {}
    for kind in ("first", "event"):
        for percent in (50, 99):
            at = [run[kind][int(len(run[kind]) * percent / 100)] for run in runs]
            found[f"{kind}_p{percent}_ms"] = round(statistics.median(at), 3)
    return found | {"events": sum(len(run["event"]) for run in runs)}


def main() -> int:
    """Print what came out."""
    parser = results.parser("SSE: what is added to each event, and what an idle stream costs.")
    parser.add_argument("--streams", type=int, default=1000)
    parser.add_argument("--idle", type=int, default=9000, help="idle streams: two descriptors of 20,000 for each")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    os.sched_setaffinity(0, {0})
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    runs: dict[str, list[dict[str, list[float]]]] = {name: [] for name in CONTESTANTS}
    for number in range(args.rounds):
        for name, contestant in CONTESTANTS.items():
            runs[name].append(asyncio.run(events(contestant, args.streams, args.seconds)))
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    found = {name: summary(of) for name, of in runs.items()}
    for name in ("nginx", "weir", "plain aiohttp proxy"):
        found[name]["idle_stream_kib"] = round(asyncio.run(idle(CONTESTANTS[name], args.idle)), 1)
    return results.say("streams", found | {"idle": {"streams": args.idle}}, args.keep)


if __name__ == "__main__":
    sys.exit(main())
