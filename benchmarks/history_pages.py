"""Each page as a browser asks for it, timed over the history that history.py made; and what its main queries read."""

import contextlib
import http.client
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg

from mcp_weir.store import connect
from mcp_weir.store.reads import queries, spans
from mcp_weir.store.shapes import Filter, Window

WINDOWS = {"1 h": "1h", "24 h": "24h", "7 d": "7d"}
LENGTHS = (timedelta(hours=1), timedelta(days=1), timedelta(days=7))
Row = tuple[str, str, float, float, float, float, float]


class Reader:
    """A browser's one connection to a dashboard, and the CPU time that dashboard and its backends have used."""

    def __init__(self, url: str, port: int, pid: int) -> None:
        self._url, self._pid = url, pid
        self._http = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def get(self, path: str) -> bytes:
        """A page's body. Raises RuntimeError for anything but 200."""
        self._http.request("GET", path, headers={"Accept": "text/html"})
        answer = self._http.getresponse()
        body = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {body[:300]!r}")
        return body

    def cpu_ms(self) -> float:
        """Of the dashboard's main thread and its backends, so far."""
        with connect.connect(self._url) as conn:
            backends = conn.execute("SELECT pid FROM pg_stat_activity WHERE application_name = 'mcp-weir dashboard'")
            pids = [self._pid, *(row[0] for row in backends.fetchall())]
        return sum(int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6 for pid in pids)


@contextlib.contextmanager
def dashboard(url: str) -> Iterator[Reader]:
    """`mcp-weir dashboard` over a database."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "mcp_weir", "dashboard", "--admin", f"127.0.0.1:{port}"]
    child = subprocess.Popen(command, env={**os.environ, "WEIR_DATABASE_URL": url})
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield Reader(url, port, child.pid)
    finally:
        child.terminate()
        child.wait(20)


def pages(reader: Reader) -> dict[str, str]:
    """Where each page is; the window is still to be added."""

    def found(path: str) -> Any:
        return json.loads(reader.get(path))["data"]

    tools = found("/api/tools?window=7d")["tools"]
    longest = {era: found(f"/api/sessions?window=7d&sort=-request_count&limit=1&era={era}")["items"][0]
               for era in ("legacy", "modern")}
    request = found("/api/requests?window=1h&limit=1")["items"][0]["request_key"]
    return {
        "overview": "/?",
        "sessions": "/sessions?",
        **{f"one {era} session ({one['request_count']} requests)": f"/sessions/{one['session_key']}?"
           for era, one in longest.items()},
        "requests": "/requests?",
        "requests that failed": "/requests?errors=yes&",
        "one request": f"/requests/{request}?",
        "tools and context ledger": "/tools?",
        "one tool (the most called)": f"/tool?name={quote(tools[0]['name'])}&",
        "one tool (the 60th)": f"/tool?name={quote(tools[59]['name'])}&",
        "clients and eras": "/clients?",
        "users": "/users?",
        "errors": "/errors?",
        "streams": "/streams?",
        "recording": "/recording?",
    }


def times(reader: Reader, path: str, runs: int) -> tuple[float, float, float, float]:
    """(first, p50, p95, least CPU of a look) in milliseconds."""
    taken, used = [], []
    for _ in range(runs + 1):
        before, began = reader.cpu_ms(), time.perf_counter()
        reader.get(path)
        taken.append((time.perf_counter() - began) * 1000)
        used.append(reader.cpu_ms() - before)
    first, rest = taken[0], sorted(taken[1:])
    return first, statistics.median(rest), rest[math.ceil(0.95 * len(rest)) - 1], min(used[1:])


def measure(url: str, runs: int, say: Callable[[str], None]) -> list[Row]:
    """(page, window, first, p50, p95, CPU, p95 of its JSON twin) of every page and window."""
    found = []
    with dashboard(url) as reader:
        for page, path in pages(reader).items():
            for name, window in WINDOWS.items():
                figures = times(reader, f"{path}window={window}", runs)
                twin = "/api/overview?" if path == "/?" else f"/api{path}"
                figures = (*figures, times(reader, f"{twin}window={window}", runs)[2])
                found.append((page, name, *figures))
                say(f"{page:<42} {name:>5}" + "".join(f"{figure:9.1f}" for figure in figures))
    return found


def touched(url: str) -> list[tuple[str, list[str]]]:
    """What the plans of the main queries read, by window: (query, [rows of tables and partitions, for each window])."""
    found: dict[str, list[str]] = {}
    with connect.connect(url) as conn:
        for setting in ("jit = off", "max_parallel_workers_per_gather = 0", "random_page_cost = 1.1"):
            conn.execute(f"SET {setting}".encode())
        for length in LENGTHS:
            window = Window.last(length)
            for title, name, facet, parts in _asked(window):
                values = queries.params(window, Filter(), facet=facet, name=None, by_service=facet == "tool", top=None,
                                        limit=50, after=None, after_key=None, **spans.sources(facet, window)[1])
                explained = psycopg.sql.SQL("EXPLAIN (ANALYZE, FORMAT JSON) {}").format(queries.composed(name, parts))
                plan = conn.execute(explained, values).fetchone()
                assert plan is not None
                rows: dict[str, float] = {}
                for table, count in _scans(plan[0][0]["Plan"]):
                    rows[table] = rows.get(table, 0) + count
                found.setdefault(title, []).append(_told(rows))
    return list(found.items())


def _asked(window: Window) -> list[tuple[str, str, str, dict[str, psycopg.sql.Composable]]]:
    listed = {"sort": psycopg.sql.SQL("r.started_at"), "way": psycopg.sql.SQL("DESC"), "after": psycopg.sql.SQL("true")}
    alike = {"step": psycopg.sql.SQL("NULL::timestamptz"), "by": psycopg.sql.SQL("1, 2, 3, 4")}
    return [
        ("figures of the window", "facet_totals", "all", spans.sources("all", window)[0]),
        ("tools", "facet_names", "tool", spans.sources("tool", window)[0]),
        ("clients", "facet_names", "client", spans.sources("client", window)[0]),
        ("sessions by client", "client_sessions", "client", alike),
        ("the newest 50 requests", "requests", "all", listed),
        ("recording", "health", "all", {}),
    ]


def _scans(node: dict[str, Any]) -> list[tuple[str, float]]:
    """(table or partition, rows) of each scan that was executed."""
    here = [(node["Relation Name"], node["Actual Rows"] * node["Actual Loops"])] if (
        "Relation Name" in node and node["Actual Loops"]) else []
    return here + [scan for child in node.get("Plans", ()) for scan in _scans(child)]


def _told(rows: dict[str, float]) -> str:
    days = {table: count for table, count in rows.items() if table.startswith("request_rows_")}
    others = {table: count for table, count in rows.items() if count and not table.startswith(("request_", "derived_"))}
    named = [f"{table} {count:,.0f}" for table, count in others.items()]
    if days:
        named.append(f"request_rows {sum(days.values()):,.0f} of {len(days)} day(s)")
    return ", ".join(named)
