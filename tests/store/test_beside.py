"""A page's reads over two connections: the second one may be missing or broken, and no page notices."""

import contextlib

import psycopg
import pytest
from tests.store.conftest import NOW, World

from mcp_weir.store import connect, reads
from mcp_weir.store.pool import ReadPool
from mcp_weir.store.shapes import DAY, MINUTE, Window

TODAY = Window.last(DAY, NOW + MINUTE)


async def test_a_second_connection_changes_no_figure(world: World, conn: psycopg.AsyncConnection) -> None:
    for tool in ("add", "add", "slow"):
        world.request(target=tool, outcome="tool_error" if tool == "slow" else "ok")
    world.store()
    known = reads.Around((), ())
    async with await connect.reading(world.url) as beside:
        assert await reads.overview(conn, TODAY, known, beside=beside) == await reads.overview(conn, TODAY, known)
        found = await reads.tool(conn, TODAY, "slow", beside=beside)
        assert found == await reads.tool(conn, TODAY, "slow") and found is not None and found.tool.totals.calls == 1
        assert await reads.tool(conn, TODAY, "nobody", beside=beside) is None


async def test_what_a_closed_second_connection_cannot_say_the_first_one_does(
    world: World, conn: psycopg.AsyncConnection
) -> None:
    world.request()
    world.store()
    async with await connect.reading(world.url) as beside:
        with psycopg.connect(world.url, autocommit=True) as killer:
            killer.execute("SELECT pg_terminate_backend(%s, 5000)", (beside.info.backend_pid,))
        view = await reads.overview(conn, TODAY, reads.Around((), ()), beside=beside)
    assert view.totals.calls == 1 and [tool.name for tool in view.tools] == ["add"]


async def test_an_error_of_either_half_is_the_askers(world: World, conn: psycopg.AsyncConnection) -> None:
    async def fine(_: psycopg.AsyncConnection) -> int:
        return 1

    async def wrong(_: psycopg.AsyncConnection) -> int:
        raise ValueError("a sort that is none")

    async with await connect.reading(world.url) as beside:
        assert await reads.both(conn, beside, fine, fine) == (1, 1)
        for one, other in ((fine, wrong), (wrong, fine)):
            with pytest.raises(ValueError, match="a sort that is none"):
                await reads.both(conn, beside, one, other)


async def test_a_pool_in_use_has_none_to_spare(world: World) -> None:
    pool = ReadPool(world.url)
    await pool.open()
    try:
        async with contextlib.AsyncExitStack() as stack:
            for _ in range(6):
                await stack.enter_async_context(pool.connection())
            assert await stack.enter_async_context(pool.spare()) is None
        async with pool.connection(), pool.spare() as spare:
            assert spare is not None and not spare.closed
    finally:
        await pool.close()
