"""Requests: lists by keyset, one whole, and the order of commits to follow."""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql

from mcp_weir.store.reads.queries import Conn, cursor_of, cursor_read, fetch, params
from mcp_weir.store.reads.rows import newest_first, request_row, sorting
from mcp_weir.store.shapes import NO_FILTER, Filter, Page, RequestDetail, RequestRow, Window

_SORTS = {
    "started_at": (sql.SQL("r.started_at"), "timestamptz"),
    **{
        name: (sql.SQL(f"coalesce(r.{name}, -1)::float8"), "float8")
        for name in ("duration_ms", "request_bytes", "response_bytes", "tokens_in", "tokens_out")
    },
}
REQUEST_SORTS = tuple(_SORTS)


async def requests(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, sort: str = "-started_at", cursor: str | None = None,
    limit: int = 50,
) -> Page[RequestRow]:
    """Requests and failed exchanges, running ones included. `sort` is one of REQUEST_SORTS, `-` before it for falling.

    Uses every field of Filter but status, source, end_reason, kind and ghosts. Sorts other than by time, and filters on
    text, look at each row of the window. Raises ValueError for an unknown sort or a cursor that is none.
    """
    parts = sorting(sort, _SORTS, "r.request_key", cursor)
    after, key = (None, None) if cursor is None else cursor_read(cursor)
    newest = sort == "-started_at" and cursor is None
    found: list[dict[str, Any]] = []
    for part in newest_first(window) if newest else (window,):
        found = await fetch(conn, "requests", params(part, where, limit=limit + 1, after=after, after_key=key), parts)
        if len(found) > limit:
            break
    more = len(found) > limit
    last = found[limit - 1] if more else None
    following = cursor_of(last["sort_value"], last["request_key"]) if last else None
    return Page(tuple(request_row(row) for row in found[:limit]), following)


async def request(conn: Conn, key: UUID) -> RequestDetail | None:
    """One request whole; None where there is none (any more)."""
    found = await fetch(conn, "request", {"key": key})
    if not found:
        return None
    row = found[0]
    rounds = await fetch(conn, "rounds", {"operation": row["operation_key"]}) if row["operation_key"] else []
    return RequestDetail(
        row=request_row(row),
        rounds=tuple(request_row(other) for other in rounds) if len(rounds) > 1 else (),
        **{name: row[name] for name in _DETAIL},
    )


_DETAIL = ("args_hash", "arguments", "result", "trace_id", "parent_span_id", "remote_addr", "user_agent")


@dataclass(frozen=True, slots=True)
class Followed:
    """What was committed since the last look, and the mark to look from next."""

    rows: tuple[RequestRow, ...]
    mark: str


async def follow(
    conn: Conn, mark: str | None, window: Window, where: Filter = NO_FILTER, *, limit: int = 10
) -> Followed:
    """Final rows committed after the mark, each exactly once however late it commits, in time order.

    Without a mark: the newest `limit` rows, and the mark to go on from. The window bounds `started_at`, exactly as it
    is given. Uses what `requests` uses.
    """
    async with conn.transaction():
        await conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        found = await (await conn.execute("SELECT pg_current_snapshot()::text")).fetchone()
        now = str(found[0]) if found else ""
        values = params(window, where, mark=mark, limit=limit)
        rows = await fetch(conn, "newest" if mark is None else "follow", values)
    return Followed(tuple(request_row(row) for row in rows), now)
