"""Named queries: SQL files of store/queries, run with parameters only.

In a file `{_name}` stands for the fragment queries/_name.sql, `{name}` for a part that the caller composes of constants
(a table, a sort column of an allow-list; never a value), and a brace is written twice.
"""

import base64
import functools
import json
import re
from collections.abc import Mapping
from datetime import datetime
from importlib import resources
from typing import Any, TypeVar
from uuid import UUID

import psycopg
from psycopg import sql
from psycopg.rows import class_row, dict_row

from mcp_weir.store.shapes import Filter, Window

T = TypeVar("T")
Conn = psycopg.AsyncConnection[Any]
Parts = Mapping[str, sql.Composable]
_HEX = re.compile(r"(?:[0-9a-f]{2})+")


@functools.cache
def text(name: str) -> str:
    """The SQL of store/queries/NAME.sql, its fragments put in."""
    found = (resources.files("mcp_weir.store") / "queries" / f"{name}.sql").read_text()
    return re.sub(r"\{(_\w+)\}", lambda m: text(m[1]).rstrip(), found)


def composed(name: str, parts: Parts | None = None) -> sql.Composed:
    """The query with its parts."""
    return sql.SQL(text(name)).format(**parts or {})


def fragment(name: str) -> sql.Composed:
    """A fragment as a part of another query."""
    return composed(name)


async def fetch(
    conn: Conn, name: str, params: Mapping[str, object], parts: Parts | None = None
) -> list[dict[str, Any]]:
    """Every row of the named query, by column name. In binary form: times and arrays are read twice as quickly."""
    async with conn.cursor(row_factory=dict_row, binary=True) as cur:
        await cur.execute(composed(name, parts), params)
        return await cur.fetchall()


async def fetch_as(
    conn: Conn, name: str, shape: type[T], params: Mapping[str, object], parts: Parts | None = None
) -> list[T]:
    """Every row of the named query as a shape whose fields are its columns."""
    async with conn.cursor(row_factory=class_row(shape), binary=True) as cur:
        await cur.execute(composed(name, parts), params)
        return await cur.fetchall()


def params(window: Window, where: Filter, **more: object) -> dict[str, object]:
    """What every query may ask for: the window, the filter's fields, `like` (its text as a pattern), and more."""
    named: dict[str, object] = {name: getattr(where, name) for name in Filter.__dataclass_fields__}
    named["since"], named["until"], named["grain"] = window.since, window.until, window.grain
    named["like"] = None if where.text is None else f"%{_escaped(where.text)}%"
    known = where.principal is not None and _HEX.fullmatch(where.principal)
    named["principal_key"] = bytes.fromhex(where.principal or "") if known else None
    return {**named, **more}


def _escaped(words: str) -> str:
    return re.sub(r"([\\%_])", r"\\\1", words.replace("\0", ""))


def cursor_of(value: datetime | float | int | None, *keys: object) -> str:
    """An opaque cursor: the sort value and the keys of the last row shown."""
    said = value.isoformat() if isinstance(value, datetime) else value
    return base64.urlsafe_b64encode(json.dumps([said, *map(str, keys)]).encode()).decode().rstrip("=")


def cursor_read(cursor: str, keys: int = 1) -> list[Any]:
    """[sort value, key, ...] of a cursor. Raises ValueError for what is none."""
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except ValueError:
        raise ValueError("that is no cursor") from None
    if not isinstance(found, list) or len(found) != keys + 1 or not all(isinstance(k, str) for k in found[1:]):
        raise ValueError("that is no cursor")
    return found


def time_cursor(cursor: str | None) -> tuple[datetime | None, UUID | None]:
    """(time, key) of a cursor over a list in time order; Nones without one. Raises ValueError for what is none."""
    if cursor is None:
        return None, None
    at, key = cursor_read(cursor)
    try:
        return datetime.fromisoformat(at), UUID(key)
    except (TypeError, ValueError):
        raise ValueError("that is no cursor") from None
