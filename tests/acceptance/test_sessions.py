"""Sessions as the clients lived them: several clients, several calls, lost ones, servers with and without sessions."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import mcp_types
import pytest
from mcp import Client
from mcp.shared.exceptions import MCPError

from weir_process import query, start_example, start_weir, wait_until


async def agree(context: Any, params: mcp_types.ElicitRequestFormParams) -> mcp_types.ElicitResult:
    answers = {"confirm": True, "seat": "window", "centimetres": 7.0}
    return mcp_types.ElicitResult(
        action="accept", content={name: answers[name] for name in params.requested_schema["properties"]}
    )


def client(url: str, mode: str = "legacy", name: str = "tester") -> Client:
    info = mcp_types.Implementation(name=name, version="1")
    return Client(url, mode=mode, client_info=info, elicitation_callback=agree)


def equal_counts(example: Any, database_url: str) -> bool:
    """The server's own count of requests by method equals the rows."""
    rows = query(
        database_url, "SELECT method, count(*) FROM weir.requests WHERE direction = 'client' AND method IS NOT NULL"
        " AND outcome <> 'running' GROUP BY method")
    return dict(rows) == example.get("/stats")["requests"]


@pytest.mark.parametrize("flags", [(), ("--json",), ("--event-store",)])
async def test_several_clients_are_several_sessions_and_several_calls_are_one(
    flags: tuple[str, ...], database_url: str, tmp_path: Path
) -> None:
    async def work(number: int) -> None:
        async with client(weir.url, name=f"client-{number}") as it:
            for call in range(number + 1):
                await it.call_tool("add", {"a": number, "b": call})

    with start_example(*flags) as example, start_weir(example.url, tmp_path, database_url) as weir:
        assert query(database_url, "SELECT 1 FROM weir.sessions") == []  # none that no client began
        await asyncio.gather(*map(work, range(5)))
        wait_until(lambda: equal_counts(example, database_url))
        sql = "SELECT client_name, tool_call_count, end_reason FROM weir.sessions ORDER BY client_name"
        want = [(f"client-{number}", number + 1, "client_delete") for number in range(5)]
        wait_until(lambda: query(database_url, sql) == want, says=f"{query(database_url, sql)}")
    of_one = query(
        database_url, "SELECT count(DISTINCT session_key) FROM weir.requests WHERE target = 'add' GROUP BY session_key")
    assert of_one == [(1,)] * 5


async def test_a_server_without_sessions_gets_derived_ones(database_url: str, tmp_path: Path) -> None:
    with start_example("--stateless") as example, start_weir(example.url, tmp_path, database_url) as weir:
        for name in ("one", "other"):
            async with client(weir.url, name=name) as it:
                for call in range(3):
                    await it.call_tool("add", {"a": 1, "b": call})
        wait_until(lambda: equal_counts(example, database_url))
        calls = "SELECT sum(tool_call_count) FROM weir.sessions"
        wait_until(lambda: query(database_url, calls) == [(6,)], says=f"{query(database_url, calls)}")
    sources = {source for source, in query(database_url, "SELECT source FROM weir.sessions")}
    assert sources <= {"principal", "client", "request"}  # never `header`: there was none
    assert query(database_url, "SELECT 1 FROM weir.sessions WHERE confidence >= 1") == []


async def test_a_lost_session_is_linked_to_its_successor(database_url: str, tmp_path: Path) -> None:
    """One client, one call; the server restarts; its next call is refused; a new session, one call."""
    with contextlib.ExitStack() as stack:
        with start_example() as first:
            weir = stack.enter_context(start_weir(first.url, tmp_path, database_url))
            async with client(weir.url) as it:
                await it.call_tool("add", {"a": 1, "b": 1})
                first.stop()
                with start_example(port=first.port):
                    with pytest.raises(MCPError, match="Session not found"):
                        await it.call_tool("add", {"a": 1, "b": 2})
                    async with client(weir.url) as again:
                        await again.call_tool("add", {"a": 1, "b": 3})
        ends = "SELECT end_reason, tool_call_count FROM weir.sessions ORDER BY started_at"
        wait_until(lambda: query(database_url, ends) == [("lost", 2), ("client_delete", 1)], 20, "lost")
        linked = (
            "SELECT new.end_reason, old.end_reason FROM weir.sessions new"
            " JOIN weir.sessions old ON old.session_key = new.previous_session_key"
        )
        wait_until(lambda: query(database_url, linked) == [("client_delete", "lost")], 20, "linked")


async def test_what_the_server_asks_is_a_row_or_a_round(database_url: str, tmp_path: Path) -> None:
    with start_example() as example, start_weir(example.url, tmp_path, database_url) as weir:
        for mode in ("legacy", "auto"):
            async with client(weir.url, mode) as it:
                found = await it.call_tool("calibrate", {})
                assert not found.is_error
        wait_until(lambda: equal_counts(example, database_url))
        asked = "SELECT era, method, outcome, count(*) FROM weir.requests WHERE direction = 'server' GROUP BY 1, 2, 3"
        wait_until(lambda: query(database_url, asked) == [("legacy", "elicitation/create", "ok", 2)])
        rounds = (
            "SELECT count(DISTINCT operation_key), count(*), count(*) FILTER (WHERE outcome = 'input_required')"
            " FROM weir.requests WHERE era = 'modern' AND target = 'calibrate'"
        )
        wait_until(lambda: query(database_url, rounds) == [(1, 3, 2)], says=f"{query(database_url, rounds)}")


async def test_an_answer_on_a_resumed_stream_belongs_to_its_call(database_url: str, tmp_path: Path) -> None:
    with start_example("--event-store") as example, start_weir(example.url, tmp_path, database_url) as weir:
        async with client(weir.url) as it:
            assert not (await it.call_tool("detach", {"seconds": 0.5})).is_error
        sql = "SELECT outcome FROM weir.requests WHERE target = 'detach'"
        wait_until(lambda: query(database_url, sql) == [("ok",)], says=f"{query(database_url, sql)}")


async def test_a_modern_client_that_leaves_in_mid_call_has_cancelled(database_url: str, tmp_path: Path) -> None:
    with start_example() as example, start_weir(example.url, tmp_path, database_url) as weir:
        async with client(weir.url, "auto") as it:
            call = asyncio.create_task(it.call_tool("slow", {"seconds": 30}))
            await asyncio.sleep(0.5)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        sql = "SELECT outcome, duration_ms < 5000 FROM weir.requests WHERE target = 'slow'"
        wait_until(lambda: query(database_url, sql) == [("cancelled", True)])
