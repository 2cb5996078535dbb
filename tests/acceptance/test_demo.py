"""`demo --once --json`: what is recorded, and what pages and terminal say, equals what its clients and server know."""

import json
import re
import subprocess
import sys
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.admin.admin_server import serving

from mcp_weir.config import Settings


@dataclass(frozen=True)
class Demo:
    """A demo that has ended: its database, its report, and the times around it."""

    url: str
    report: dict[str, Any]
    since: datetime
    until: datetime

    def terminal(self, *words: str) -> Any:
        """What a command says with --json about the demo's time."""
        window = ("--since", self.since.isoformat(), "--until", self.until.isoformat())
        command = [sys.executable, "-m", "mcp_weir", *words, "--json", *window, "--database-url", self.url]
        return json.loads(subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout)

    def sql(self, query: str) -> dict[Any, Any]:
        """A query's (name, count) rows."""
        with psycopg.connect(self.url) as conn:
            return dict(conn.execute(query.encode()).fetchall())


@pytest.fixture(scope="module")
def demo(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Demo:
    name = f"demo{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
    url = postgres_url.replace("/postgres?", f"/{name}?")
    since = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    folder: Path = tmp_path_factory.mktemp("demo")
    command = [sys.executable, "-m", "mcp_weir", "demo", "--once", "--json", "--pace", "0.3"]
    ended = subprocess.run(
        [*command, "--data-dir", str(folder), "--database-url", url], capture_output=True, text=True, timeout=110
    )
    assert ended.stderr == "" and ended.returncode == 0, ended.stdout
    return Demo(url, json.loads(ended.stdout), since, datetime.now(UTC).replace(microsecond=0) + timedelta(minutes=1))


def test_the_record_of_the_demo_is_the_truth(demo: Demo) -> None:
    report = demo.report
    assert (report["missing"], report["duplicates"], report["wrong"]) == (0, 0, 0), report["differences"]
    assert report["sent"]["requests"] == report["recorded"]["requests"] == report["sent"]["server_counted"] > 200
    assert report["sessions"]["legacy"] == report["sent"]["conversations"]["legacy"] == 19
    assert report["sessions"]["modern"] >= 9  # derived: one at least for each person and client
    outcomes = {*report["recorded"]["by_outcome"]}
    assert {"ok", "tool_error", "rpc_error", "http_error", "input_required", "cancelled"} <= outcomes


async def test_pages_and_terminal_say_what_sql_says_and_the_clients_did(demo: Demo) -> None:
    query = f"from={demo.since:%Y-%m-%dT%H:%M:%S}&to={demo.until:%Y-%m-%dT%H:%M:%S}"
    async with serving(Settings(upstream="http://127.0.0.1:8051/mcp"), demo.url) as http:
        async def page(path: str) -> Any:
            async with http.get(f"/api{path}{'&' if '?' in path else '?'}{query}") as answer:
                assert answer.status == 200, await answer.text()
                return (await answer.json())["data"]

        shown = (await page("/overview"))["overview"]
        lists = {
            ("tools", "--limit", "500"): (await page("/tools"))["tools"],
            ("clients",): (await page("/clients"))["clients"],
            ("users",): await page("/users"),
            ("errors", "--limit", "100"): (await page("/errors"))["groups"],
            ("sessions", "--limit", "500"): (await page("/sessions?ghosts=with&limit=500"))["items"],
            ("requests", "--limit", "500"): (await page("/requests?limit=500"))["items"],
            ("streams", "--limit", "500"): (await page("/streams?limit=500"))["items"],
            ("coverage", "--limit", "60"): (await page("/recording"))["minutes"]["items"],
            ("search", "add"): (await page("/search?q=add&limit=20"))["hits"],
        }
        async with http.get(f"/?{query}", headers={"Accept": "text/html"}) as answer:
            html = await answer.text()
    for words, rows in lists.items():
        assert rows and demo.terminal(*words) == rows, words
    reported = demo.terminal("report")
    for name in ("totals", "previous", "sessions", "ghosts", "tools", "clients", "errors", "series"):
        assert reported[name] == shown[name], name

    # and these figures are SQL's, and what the clients and the server counted
    called = demo.sql("SELECT target, count(*) FROM weir.requests WHERE method = 'tools/call' AND direction = 'client'"
                      " AND outcome <> 'running' GROUP BY 1")
    tools = {one["name"]: one for one in lists["tools", "--limit", "500"] if one["totals"]["calls"]}
    assert {name: one["totals"]["calls"] for name, one in tools.items()} == called
    last = demo.sql("SELECT target, max(started_at) FROM weir.requests WHERE method = 'tools/call'"
                    " AND direction = 'client' AND outcome <> 'running' GROUP BY 1")
    assert {name: datetime.fromisoformat(one["last_called_at"]) for name, one in tools.items()} == last
    assert shown["totals"]["calls"] == sum(called.values())
    ended = demo.sql("SELECT outcome = 'running', count(*) FROM weir.requests GROUP BY 1")
    every, told = ended[False], demo.report["sent"]
    assert shown["totals"]["requests"] == every
    assert sum(ended.values()) == sum(told["by_outcome"].values()) + told["server_requests"] + told["refused"]
    assert {title for title in re.findall(r'<dd title="([\d,]+)">', html)} >= {f"{every:,}"}
    failed = demo.sql("SELECT 'all', count(*) FROM weir.requests WHERE weir.is_error(outcome)")["all"]
    assert shown["totals"]["errors"] == failed == sum(group["count"] for group in lists["errors", "--limit", "100"])
    came = demo.report["sessions"]
    assert len(lists["sessions", "--limit", "500"]) == sum(came.values())
