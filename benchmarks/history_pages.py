"""Each page's first-view reads, timed and explained over the history that history.py made."""

import asyncio
import math
import statistics
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg

from mcp_weir.store import connect, reads
from mcp_weir.store.reads import queries
from mcp_weir.store.shapes import Filter, Thresholds, Window

Ask = Callable[[psycopg.AsyncConnection[Any], Window], Awaitable[object]]
WINDOWS = {"1 h": timedelta(hours=1), "24 h": timedelta(days=1), "7 d": timedelta(days=7)}


async def pages(url: str) -> dict[str, Ask]:
    """What each page asks for when it is first looked at."""
    async with await connect.reading(url) as conn:
        week = Window.last(WINDOWS["7 d"])
        tools = await reads.tools(conn, week, limit=60)
        popular, rare = tools[0].name, tools[-1].name
        longest = (await reads.sessions(conn, week, Filter(era="legacy"), sort="-request_count", limit=1)).items[0]
        derived = (await reads.sessions(conn, week, Filter(era="modern"), sort="-request_count", limit=1)).items[0]

    async def clients(conn: psycopg.AsyncConnection[Any], window: Window) -> None:
        await reads.clients(conn, window)
        await reads.eras(conn, window)
        await reads.era_series(conn, window)

    async def recording(conn: psycopg.AsyncConnection[Any], window: Window) -> None:
        await reads.health(conn, window)
        await reads.coverage(conn, window)

    return {
        "overview": lambda c, w: reads.overview(c, w, thresholds=Thresholds()),
        "sessions": lambda c, w: reads.sessions(c, w),
        f"one session ({longest.request_count} requests)": lambda c, w: reads.session(c, longest.session_key),
        f"one derived session ({derived.request_count} requests)": lambda c, w: reads.session(c, derived.session_key),
        "requests": lambda c, w: reads.requests(c, w),
        "requests that failed": lambda c, w: reads.requests(c, w, Filter(errors=True)),
        "tools": lambda c, w: reads.tools(c, w),
        "one tool (the most called)": lambda c, w: reads.tool(c, w, popular),
        "one tool (the 60th)": lambda c, w: reads.tool(c, w, rare),
        "context ledger": lambda c, w: reads.ledger(c, w),
        "clients and eras": clients,
        "users": lambda c, w: reads.principals(c, w),
        "errors": lambda c, w: reads.errors(c, w),
        "streams": lambda c, w: reads.streams(c, w),
        "recording": recording,
        "alerts": lambda c, w: reads.alerts(c, Thresholds()),
    }


async def times(url: str, ask: Ask, length: timedelta, runs: int) -> tuple[float, float, float, float]:
    """(first on a new connection, p50, p95, CPU) in milliseconds; CPU is this process's and the backend's, median."""
    async with await connect.reading(url) as conn:
        found = await (await conn.execute("SELECT pg_backend_pid()")).fetchone()
        assert found is not None
        taken, worked = [], []
        for _ in range(runs + 1):
            window = Window.last(length)
            began, cpu = time.perf_counter(), cpu_ms(found[0])
            await ask(conn, window)
            taken.append((time.perf_counter() - began) * 1000)
            worked.append(cpu_ms(found[0]) - cpu)
    first, rest = taken[0], sorted(taken[1:])
    return first, statistics.median(rest), rest[math.ceil(0.95 * len(rest)) - 1], statistics.median(worked[1:])


def cpu_ms(backend: int) -> float:
    """CPU time so far of this process and of a backend on this machine."""
    ran_ns = int(Path(f"/proc/{backend}/schedstat").read_text().split()[0])
    return time.process_time() * 1000 + ran_ns / 1e6


def measure(url: str, runs: int, say: Callable[[str], None]) -> list[tuple[str, str, float, float, float, float]]:
    """(page, window, first, p50, p95, CPU) of every page and window."""
    found = []
    for page, ask in asyncio.run(pages(url)).items():
        for name, length in WINDOWS.items():
            figures = asyncio.run(times(url, ask, length, runs))
            found.append((page, name, *figures))
            say(f"{page:<42} {name:>5} {figures[0]:9.1f} {figures[1]:9.1f} {figures[2]:9.1f} {figures[3]:9.1f}")
    return found


def touched(url: str, length: timedelta) -> dict[str, list[str]]:
    """Tables and partitions that the plans of the main queries read (those that were never executed left out)."""
    window = Window.last(length)
    values = {**queries.params(window, Filter()), "facet": "all", "name": None, "by_service": False, "top": None,
              "limit": 50, "after": None, "after_key": None}
    parts = {"sort": psycopg.sql.SQL("r.started_at"), "way": psycopg.sql.SQL("DESC"), "after": psycopg.sql.SQL("true")}
    asked = {"facet_totals": None, "facet_names": None, "requests": parts, "errors": None, "session_counts": None}
    found = {}
    with connect.connect(url) as conn:
        for name, chosen in asked.items():
            explained = psycopg.sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) {}").format(queries.composed(name, chosen))
            plan = conn.execute(explained, values).fetchone()
            assert plan is not None
            found[name] = sorted(set(_relations(plan[0][0]["Plan"])))
    return found


def _relations(node: dict[str, Any]) -> list[str]:
    read = [node["Relation Name"]] if "Relation Name" in node and node["Actual Loops"] else []
    return read + [name for child in node.get("Plans", ()) for name in _relations(child)]
