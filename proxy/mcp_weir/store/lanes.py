"""Several connections for one page: reads that do not need each other run side by side, one on each connection."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import psycopg

T = TypeVar("T")
Conn = psycopg.AsyncConnection[Any]


class Lanes:
    """Connections of one reader; at least one."""

    def __init__(self, *conns: Conn) -> None:
        self._free: asyncio.Queue[Conn] = asyncio.Queue()
        for conn in conns:
            self._free.put_nowait(conn)

    async def run(self, job: Callable[[Conn], Awaitable[T]]) -> T:
        """The job's result, on the next connection that is free; in the order of asking."""
        conn = await self._free.get()
        try:
            return await job(conn)
        finally:
            self._free.put_nowait(conn)


class Together:
    """Jobs of one `together` block."""

    def __init__(self, group: asyncio.TaskGroup, lanes: Lanes) -> None:
        self._group, self._lanes = group, lanes

    def start(self, job: Callable[[Conn], Awaitable[T]]) -> asyncio.Task[T]:
        """Begin a job; its result is there when the block has ended. The longest had better begin first."""
        return self._group.create_task(self._lanes.run(job))


@contextlib.asynccontextmanager
async def together(lanes: Conn | Lanes) -> AsyncIterator[Together]:
    """All jobs started within have ended after it. Raises what the first to fail raised; the others are cancelled."""
    try:
        async with asyncio.TaskGroup() as group:
            yield Together(group, lanes if isinstance(lanes, Lanes) else Lanes(lanes))
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
