"""The whole river: real MCP clients of both eras, the weir, the example server, a real Postgres."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import psycopg
import pytest
from mcp import Client

CLIENTS = """
import asyncio, sys
from mcp import Client

async def main() -> None:
    for mode in ("legacy", "auto"):
        async with Client(sys.argv[1], mode=mode) as client:
            for n in range(5):
                found = await client.call_tool("add", {"a": n, "b": 2})
                assert found.structured_content == {"result": n + 2}, found
            assert (await client.call_tool("fail", {})).is_error

asyncio.run(main())
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_for(port: int) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"nothing listens on {port}")


@pytest.fixture
def example() -> Iterator[int]:
    port = free_port()
    child = subprocess.Popen([sys.executable, "-m", "mcp_weir_example", "--port", str(port)])
    wait_for(port)
    yield port
    child.terminate()
    child.wait(10)


@pytest.fixture
def weir(example: int, database_url: str, tmp_path: Path) -> Iterator[tuple[int, str, subprocess.Popen[bytes]]]:
    port = free_port()
    env = {**os.environ, "WEIR_DATABASE_URL": database_url}
    child = subprocess.Popen(
        [sys.executable, "-m", "mcp_weir", "up", "--upstream", f"http://127.0.0.1:{example}/mcp",
         "--listen", f"127.0.0.1:{port}", "--data-dir", str(tmp_path / "data")],
        env=env,
    )
    wait_for(port)
    yield port, database_url, child
    child.send_signal(signal.SIGTERM)
    assert child.wait(30) == 0


def query(url: str, sql: str) -> list[tuple]:
    with psycopg.connect(url) as conn:
        return conn.execute(sql).fetchall()


def test_every_call_of_both_eras_is_a_row_once(weir: tuple[int, str, subprocess.Popen[bytes]]) -> None:
    port, url, _ = weir
    subprocess.run([sys.executable, "-c", CLIENTS, f"http://127.0.0.1:{port}/mcp"], check=True, timeout=60)
    deadline = time.monotonic() + 15
    sql = "SELECT era, outcome, count(*) FROM weir.requests WHERE method = 'tools/call' GROUP BY 1, 2 ORDER BY 1, 2"
    want = [("legacy", "ok", 5), ("legacy", "tool_error", 1), ("modern", "ok", 5), ("modern", "tool_error", 1)]
    while query(url, sql) != want and time.monotonic() < deadline:
        time.sleep(0.1)
    assert query(url, sql) == want
    sessions = query(url, "SELECT era, source, tool_call_count, client_name IS NULL, end_reason FROM weir.sessions")
    assert sorted(sessions) == [("legacy", "header", 6, False, "client_delete"), ("modern", "client", 6, False, None)]
    assert query(url, "SELECT 1 FROM weir.quarantine") == []


async def test_a_dead_upstream_is_a_502_with_a_record(
    example: int, database_url: str, tmp_path: Path
) -> None:
    port, nowhere = free_port(), free_port()
    env = {**os.environ, "WEIR_DATABASE_URL": database_url}
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "mcp_weir", "up", "--upstream", f"http://127.0.0.1:{nowhere}/mcp",
        "--listen", f"127.0.0.1:{port}", "--data-dir", str(tmp_path), env=env,
    )
    await asyncio.to_thread(wait_for, port)
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "add", "arguments": {}}}
    async with aiohttp.ClientSession() as http:
        async with http.post(f"http://127.0.0.1:{port}/mcp", json=call) as answer:
            assert answer.status == 502
            assert (await answer.json())["error"]["code"] == -32000
    deadline = time.monotonic() + 10
    while not query(database_url, "SELECT 1 FROM weir.requests") and time.monotonic() < deadline:
        await asyncio.sleep(0.1)
    found = query(database_url, "SELECT method, target, outcome, http_status, jsonrpc_id FROM weir.requests")
    assert found == [("tools/call", "add", "http_error", 502, "7")]
    child.terminate()
    assert await child.wait() == 0


async def test_a_client_that_only_looks_is_served_through(weir: tuple[int, str, subprocess.Popen[bytes]]) -> None:
    async with Client(f"http://127.0.0.1:{weir[0]}/mcp", mode="legacy") as client:
        assert {tool.name for tool in (await client.list_tools()).tools} == {"add", "slow", "fail"}
