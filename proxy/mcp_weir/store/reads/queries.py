"""Named queries: SQL files of store/queries, run with parameters only."""

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

T = TypeVar("T")
Conn = psycopg.AsyncConnection[Any]


@functools.cache
def text(name: str) -> str:
    """The SQL of store/queries/NAME.sql."""
    return (resources.files("mcp_weir.store") / "queries" / f"{name}.sql").read_text()


def composed(name: str, parts: Mapping[str, sql.Composable] | None) -> bytes | sql.Composed:
    """The query, with `{parts}` put in where it has any: identifiers from an allow-list, never a value."""
    if parts is None:
        return text(name).encode()
    return sql.SQL(text(name)).format(**parts)


async def fetch(
    conn: Conn, name: str, params: Mapping[str, object], parts: Mapping[str, sql.Composable] | None = None
) -> list[dict[str, Any]]:
    """Every row of the named query, by column name."""
    async with conn.cursor(row_factory=dict_row) as cur:
        await cur.execute(composed(name, parts), params)
        return await cur.fetchall()


async def fetch_as(
    conn: Conn, name: str, shape: type[T], params: Mapping[str, object],
    parts: Mapping[str, sql.Composable] | None = None,
) -> list[T]:
    """Every row of the named query as a shape whose fields are its columns."""
    async with conn.cursor(row_factory=class_row(shape)) as cur:
        await cur.execute(composed(name, parts), params)
        return await cur.fetchall()
