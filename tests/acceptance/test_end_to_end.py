"""The whole river: real MCP clients of both eras, the weir, the example server, a real Postgres."""

from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest
from mcp import Client

from weir_process import Running, free_port, query, start_example, start_weir, wait_until


@pytest.fixture
def example() -> Iterator[Running]:
    with start_example() as running:
        yield running


@pytest.fixture
def weir(example: Running, database_url: str, tmp_path: Path) -> Iterator[Running]:
    with start_weir(example.url, tmp_path, database_url) as running:
        yield running


async def test_every_call_of_both_eras_is_a_row_once(weir: Running, database_url: str) -> None:
    for mode in ("legacy", "auto"):
        async with Client(weir.url, mode=mode) as client:
            for n in range(5):
                found = await client.call_tool("add", {"a": n, "b": 2})
                assert found.structured_content == {"result": n + 2}
            assert (await client.call_tool("fail", {})).is_error
    sql = "SELECT era, outcome, count(*) FROM weir.requests WHERE method = 'tools/call' GROUP BY 1, 2 ORDER BY 1, 2"
    want = [("legacy", "ok", 5), ("legacy", "tool_error", 1), ("modern", "ok", 5), ("modern", "tool_error", 1)]
    wait_until(lambda: query(database_url, sql) == want)
    sql = "SELECT era, source, tool_call_count, client_name, end_reason FROM weir.sessions ORDER BY 1"
    want = [("legacy", "header", 6, "mcp", "client_delete"), ("modern", "client", 6, "mcp", None)]
    wait_until(lambda: query(database_url, sql) == want)
    assert query(database_url, "SELECT 1 FROM weir.quarantine") == []


async def test_a_dead_upstream_is_a_502_with_a_record(database_url: str, tmp_path: Path) -> None:
    call = {"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "add", "arguments": {}}}
    with start_weir(f"http://127.0.0.1:{free_port()}/mcp", tmp_path, database_url) as weir:
        async with aiohttp.ClientSession() as http:
            async with http.post(weir.url, json=call) as answer:
                assert answer.status == 502
                assert (await answer.json())["error"]["code"] == -32000
        wait_until(lambda: query(database_url, "SELECT 1 FROM weir.requests") != [])
    found = query(database_url, "SELECT method, target, outcome, http_status, jsonrpc_id FROM weir.requests")
    assert found == [("tools/call", "add", "http_error", 502, "7")]
