"""Which idle connection to the upstream is used again, and which is thrown away before a request is lost to it."""

import asyncio
import contextlib
import select
import socket
import time
from collections.abc import AsyncIterator

import pytest

from mcp_weir.relay.limits import POOL_SECONDS, SUSPECT_SECONDS
from mcp_weir.relay.upstream import Origin, Pool
from mcp_weir.relay.upstream_protocol import UpstreamConnection

IDLE = (SUSPECT_SECONDS + POOL_SECONDS) / 2  # old enough to be looked at, young enough to be used


@contextlib.asynccontextmanager
async def pooled() -> AsyncIterator[tuple[Pool, UpstreamConnection, socket.socket]]:
    """A pool that holds one connection, and the upstream's end of it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        pool = Pool(Origin("127.0.0.1", listener.getsockname()[1]))
        connection = await opened(pool.take())
        far, _ = listener.accept()
        pool.release(connection)
        with far:
            yield pool, connection, far
        pool.close()


async def opened(connection: UpstreamConnection) -> UpstreamConnection:
    if connection.opening is not None:
        await asyncio.wait_for(asyncio.shield(connection.opening), 10)
    return connection


def wait_for_news(connection: UpstreamConnection) -> None:
    """Until the kernel has something to read for it; the loop does not run meanwhile, and cannot have read it."""
    assert connection.transport is not None
    sock = connection.transport.get_extra_info("socket")
    assert select.select([sock.fileno()], [], [], 10)[0]


def is_new(connection: UpstreamConnection) -> bool:
    """It is none that was idle. It need not come to life."""
    new = connection.transport is None
    connection.abort()
    return new


async def test_a_quiet_connection_is_used_again() -> None:
    async with pooled() as (pool, connection, _):
        connection.idle_since = time.monotonic() - IDLE
        assert pool.take() is connection and len(pool) == 0


@pytest.mark.parametrize("word", [b"", b"HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"])
async def test_an_end_or_a_word_that_the_loop_has_not_read_rules_a_connection_out(word: bytes) -> None:
    """The keep-alive race: a POST onto it would be lost, or take a farewell for its answer."""
    async with pooled() as (pool, connection, far):
        connection.idle_since = time.monotonic() - IDLE
        far.sendall(word)
        far.shutdown(socket.SHUT_WR)
        wait_for_news(connection)
        assert not connection.lost, "nobody has read it yet"
        assert connection.has_news() and is_new(pool.take())
        assert connection.transport is not None and connection.transport.is_closing() and len(pool) == 0


async def test_what_was_idle_for_longer_than_a_server_waits_is_not_used() -> None:
    async with pooled() as (pool, connection, _):
        connection.idle_since = time.monotonic() - POOL_SECONDS - 1
        assert is_new(pool.take())
        assert connection.transport is not None and connection.transport.is_closing()


async def test_what_was_idle_too_long_is_closed_without_being_asked_for() -> None:
    async with pooled() as (pool, connection, far):
        pool.expire()
        assert len(pool) == 1
        connection.idle_since = time.monotonic() - POOL_SECONDS - 1
        pool.expire()
        assert len(pool) == 0
        assert await asyncio.wait_for(asyncio.to_thread(far.recv, 1), 10) == b"", "the upstream is told"


async def test_what_ended_while_it_was_idle_is_passed_over() -> None:
    async with pooled() as (pool, connection, far):
        far.close()
        async with asyncio.timeout(10):
            while not connection.lost:
                await asyncio.sleep(0.01)
        assert is_new(pool.take())


async def test_a_closed_pool_keeps_nothing() -> None:
    async with pooled() as (pool, connection, _):
        taken = pool.take()
        assert taken is connection
        pool.close()
        pool.release(taken)
        assert len(pool) == 0 and taken.transport is not None and taken.transport.is_closing()
