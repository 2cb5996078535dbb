"""Rules of attribution where real clients and servers make them bite: probes, ends of sessions, redirects."""

import contextlib
import time
from pathlib import Path
from typing import Any

import httpx2
import mcp_types
import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from weir_process import Running, free_port, query, start_server, start_weir, wait_until

ME = mcp_types.Implementation(name="tester", version="1")
ENDS = "SELECT end_reason, tool_call_count FROM weir.sessions ORDER BY started_at"


def odd_server(*manners: str) -> contextlib.AbstractContextManager[Running]:
    port = free_port()
    return start_server(port, str(Path(__file__).with_name("odd_server.py")), str(port), *manners)


def becomes(database_url: str, sql: str, want: list[tuple[Any, ...]], timeout: float = 90) -> None:
    deadline = time.monotonic() + timeout
    while (found := query(database_url, sql)) != want:
        if time.monotonic() > deadline:
            everything = query(database_url, "SELECT method, outcome, http_status, flags FROM weir.requests")
            pytest.fail(f"{found}, not {want}, within {timeout} s; of {everything}")
        time.sleep(0.05)


async def test_a_client_that_asks_whether_a_legacy_server_is_modern_has_not_failed(
    database_url: str, tmp_path: Path
) -> None:
    with odd_server("legacy") as server, start_weir(server.url, tmp_path, database_url) as weir:
        async with Client(weir.url, mode="auto", client_info=ME) as it:
            assert not (await it.call_tool("add", {"a": 1, "b": 2})).is_error
        becomes(database_url, "SELECT method, outcome, http_status, flags FROM weir.requests"
                " WHERE method IN ('server/discover', 'initialize', 'tools/call') ORDER BY started_at",
                [("server/discover", "ok", 400, ["probe"]), ("initialize", "ok", 200, []),
                 ("tools/call", "ok", 200, [])])
        becomes(database_url, ENDS, [("client_delete", 1)])


@pytest.mark.parametrize(("falls_back", "outcome", "flags"), [(True, "ok", ["probe"]), (False, "http_error", [])])
async def test_a_modern_call_that_a_legacy_server_refused_is_a_probe_where_initialize_follows(
    database_url: str, tmp_path: Path, falls_back: bool, outcome: str, flags: list[str]
) -> None:
    with odd_server("legacy") as server, start_weir(server.url, tmp_path, database_url) as weir:
        async with Client(weir.url, mode="2026-07-28", client_info=ME) as it:
            with pytest.raises(MCPError):
                await it.list_tools()
        if falls_back:
            async with Client(weir.url, mode="legacy", client_info=ME) as it:
                await it.list_tools()
        tried = ("SELECT outcome, flags FROM weir.requests WHERE method = 'tools/list' AND http_status = 400")
        becomes(database_url, tried, [(outcome, flags)])


async def test_a_session_that_nobody_may_delete_has_ended_when_its_client_is_done(
    database_url: str, tmp_path: Path
) -> None:
    with odd_server("undying") as server, start_weir(server.url, tmp_path, database_url) as weir:
        async with Client(weir.url, mode="legacy", client_info=ME) as it:
            await it.call_tool("add", {"a": 1, "b": 2})
        becomes(database_url, ENDS, [("client_delete", 1)])
        becomes(database_url, "SELECT outcome, flags FROM weir.requests WHERE http_method = 'DELETE'",
                [("ok", ["probe"])])


async def test_a_client_that_is_shown_the_way_makes_each_call_once(database_url: str, tmp_path: Path) -> None:
    with odd_server("slash") as server, start_weir(server.url, tmp_path, database_url) as weir:
        async with httpx2.AsyncClient(follow_redirects=True) as http:
            transport = streamable_http_client(weir.url, http_client=http)
            async with Client(transport, mode="legacy", client_info=ME) as it:
                await it.call_tool("add", {"a": 1, "b": 2})
        becomes(database_url, ENDS, [("client_delete", 1)])
        becomes(database_url, "SELECT method, outcome FROM weir.requests WHERE method IS NOT NULL ORDER BY started_at",
                [("initialize", "ok"), ("tools/call", "ok"), ("tools/list", "ok")])  # for the tool's output schema
        wait_until(lambda: ("ok", 307) in query(
            database_url, "SELECT outcome, http_status FROM weir.requests WHERE method IS NULL"))
