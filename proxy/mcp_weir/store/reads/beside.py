"""Two halves of a page's reads side by side, where there is a second connection."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import psycopg

from mcp_weir.store.reads.queries import Conn

A = TypeVar("A")
B = TypeVar("B")


async def both(
    conn: Conn, beside: Conn | None, one: Callable[[Conn], Awaitable[A]], other: Callable[[Conn], Awaitable[B]]
) -> tuple[A, B]:
    """Both answers; `other` over the second connection. What fails there is asked again over the first.

    A second connection that a restarted database has closed must not cost a page that the first one can answer.
    """
    if beside is None:
        return await one(conn), await other(conn)
    first, second = await asyncio.gather(one(conn), other(beside), return_exceptions=True)  # both end, whatever fails
    if isinstance(first, BaseException):
        raise first
    if isinstance(second, psycopg.Error) and beside.closed:
        return first, await other(conn)
    if isinstance(second, BaseException):
        raise second
    return first, second
