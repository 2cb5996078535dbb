"""Real tool calls to a real FastMCP server, through each proxy in one run: `python benchmarks/tools.py`.

Server and clients share core 0, the proxy has core 1. A FastMCP server is the bottleneck of any such chain, so what
counts is the proxy's CPU for each call, and what it adds to a call at a rate that leaves everybody idle mostly.
"""

import asyncio
import os
import statistics
import sys
import time

import peers
import processes
import results
from mcp_client import Session
from processes import Contestant, Running

CONTESTANTS: dict[str, Contestant] = {
    "direct": processes.direct,
    "nginx": lambda core, port: processes.nginx(core, port),
    "HAProxy": processes.haproxy,
    "weir": lambda core, port: processes.weir(core, port),
    "weir, not recording": lambda core, port: processes.weir(core, port, "--record", "off"),
    "plain aiohttp proxy": processes.plain_aiohttp,
    "mitmproxy": peers.mitmproxy,
    "mcp-proxy": peers.mcp_proxy,
    "FastMCP proxy": peers.fastmcp_proxy,
}


async def busy(sessions: list[Session], seconds: float) -> int:
    """Calls that came back while every session asks as fast as it is answered."""
    until = time.monotonic() + seconds

    async def one(session: Session) -> int:
        calls = 0
        while time.monotonic() < until:
            await session.call()
            calls += 1
        return calls

    return sum(await asyncio.gather(*map(one, sessions)))


async def paced(sessions: list[Session], rate: float, seconds: float) -> list[float]:
    """Milliseconds of each call at this rate, counted from when it was due."""
    start, each = time.monotonic() + 0.1, len(sessions) / rate

    async def one(at: int, session: Session) -> list[float]:
        took = []
        for number in range(int(seconds / each)):
            due = start + number * each + at / rate
            await asyncio.sleep(due - time.monotonic())
            took.append(await session.call(due) * 1000)
        return took

    return sorted(sum(await asyncio.gather(*(one(at, session) for at, session in enumerate(sessions))), []))


async def run(running: Running, count: int, rate: float, seconds: float) -> dict[str, float]:
    """One contestant's turn."""
    sessions = [Session(running.port) for _ in range(count)]
    for session in sessions:
        await session.open()
    await busy(sessions, 1)
    took = await paced(sessions, rate, seconds)
    before, began = running.cpu_s(), time.monotonic()
    calls = await busy(sessions, seconds)
    spent = running.cpu_s() - before
    found = {"calls_per_s": calls / (time.monotonic() - began), "cpu_us": spent / max(1, calls) * 1e6,
             "p50_ms": took[len(took) // 2], "p95_ms": took[int(len(took) * 0.95)]}
    for session in sessions:
        session.close()
    return found


def turn(name: str, upstream: Running, count: int, rate: float, seconds: float) -> dict[str, float]:
    """Figures of one contestant, or none, said, where it is missing."""
    try:
        with CONTESTANTS[name](1, upstream.port) as running:
            return asyncio.run(run(with_children(running), count, rate, seconds))
    except peers.Missing as missing:
        print(f"{name}: could not be installed ({missing})", file=sys.stderr)
    except (OSError, RuntimeError, asyncio.IncompleteReadError) as error:
        print(f"{name}: failed: {error}", file=sys.stderr)
    return {}


def with_children(running: Running) -> Running:
    """With the processes that it started meanwhile."""
    return Running(running.port, [pid for first in running.pids[:1] for pid in processes.descendants(first)])


def main() -> int:
    """Print what came out."""
    parser = results.parser("Real tool calls to a real FastMCP server, through each proxy.")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--sessions", type=int, default=8)
    parser.add_argument("--rate", type=float, default=10)
    parser.add_argument("--seconds", type=float, default=5)
    args = parser.parse_args()
    os.sched_setaffinity(0, {0})
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in CONTESTANTS}
    for number in range(args.rounds):
        for name in CONTESTANTS:
            with peers.fastmcp_server(0) as upstream:  # without the sessions of the one before
                runs[name].append(turn(name, upstream, args.sessions, args.rate, args.seconds))
        print(f"round {number + 1} of {args.rounds}", file=sys.stderr)
    found = {}
    for name, of in runs.items():
        good = [one for one in of if one]
        found[name] = {key: round(statistics.median(one[key] for one in good), 3) for key in (good[0] if good else {})}
    return results.say("tools", found, args.keep)


if __name__ == "__main__":
    sys.exit(main())
