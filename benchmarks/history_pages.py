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
from mcp_weir.store.reads import queries
from mcp_weir.store.shapes import Filter, Window

WINDOWS = {"1 h": "1h", "24 h": "24h", "7 d": "7d"}
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
    """(first, p50, p95, CPU a look) in milliseconds."""
    taken = []
    for run in range(runs + 1):
        if run == 1:
            before = reader.cpu_ms()
        began = time.perf_counter()
        reader.get(path)
        taken.append((time.perf_counter() - began) * 1000)
    first, rest = taken[0], sorted(taken[1:])
    cpu = (reader.cpu_ms() - before) / runs
    return first, statistics.median(rest), rest[math.ceil(0.95 * len(rest)) - 1], cpu


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
