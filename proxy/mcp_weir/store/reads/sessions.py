"""Sessions: lists by keyset, and one with its timeline."""

import re
from datetime import timedelta
from uuid import UUID

from psycopg import sql

from mcp_weir.store.reads.queries import Conn, cursor_of, cursor_read, fetch, fetch_as, params, time_cursor
from mcp_weir.store.reads.rows import request_row, session_summary, sorting
from mcp_weir.store.shapes import (
    NO_FILTER,
    Filter,
    Page,
    RequestRow,
    SessionDetail,
    SessionSummary,
    Share,
    StreamRow,
    TimelineItem,
    Window,
)

_SORTS = {
    "last_seen_at": (sql.SQL("s.last_seen_at"), "timestamptz"),
    "started_at": (sql.SQL("s.started_at"), "timestamptz"),
    **{name: (sql.SQL(f"s.{name}"), "bigint")
       for name in ("request_count", "tool_call_count", "error_count", "tokens_out")},
}
SESSION_SORTS = tuple(_SORTS)
_MARGIN = timedelta(hours=1)  # a refused request may stand before a session's start or after its end
_NIL = UUID(int=0)


async def sessions(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, sort: str = "-last_seen_at", cursor: str | None = None,
    limit: int = 50,
) -> Page[SessionSummary]:
    """Sessions that were alive in the window. `sort` is one of SESSION_SORTS, `-` before it for falling.

    Uses service, client, principal, status, era, protocol_version, source, end_reason, ghosts, errors, session, text.
    Raises ValueError for an unknown sort or a cursor that is none.
    """
    parts = sorting(sort, _SORTS, "s.session_key", cursor)
    after, key = (None, None) if cursor is None else cursor_read(cursor)
    found = await fetch(conn, "sessions", params(window, where, limit=limit + 1, after=after, after_key=key), parts)
    last = found[limit - 1] if len(found) > limit else None
    following = cursor_of(last["sort_value"], last["session_key"]) if last else None
    return Page(tuple(session_summary(row) for row in found[:limit]), following)


async def find_sessions(conn: Conn, prefix: str, *, limit: int = 10) -> tuple[SessionSummary, ...]:
    """Sessions whose key begins with these hex digits, newest first. Raises ValueError for other signs."""
    digits = prefix.replace("-", "").lower()
    if not re.fullmatch(r"[0-9a-f]{1,32}", digits):
        raise ValueError(f"{prefix[:40]!r} is no beginning of a session's key: hexadecimal digits")
    first, last = UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))
    found = await fetch(conn, "session", {"first": first, "last": last, "limit": limit})
    return tuple(session_summary(row) for row in found)


async def session(conn: Conn, key: UUID, *, cursor: str | None = None, limit: int = 500) -> SessionDetail | None:
    """One session with its timeline from the cursor on; None where there is none.

    Raises ValueError for a cursor that is none.
    """
    found = await fetch(conn, "session", {"first": key, "last": key, "limit": 1})
    if not found:
        return None
    whole = session_summary(found[0])
    end = max(whole.last_seen_at, whole.ended_at or whole.last_seen_at)
    window = Window(whole.started_at - _MARGIN, end + _MARGIN, _MARGIN)
    items, following = await _timeline(conn, whole, window, cursor, limit)
    tools = await fetch(conn, "session_tools", params(window, Filter(session=key)))
    before = whole.previous_session_key
    return SessionDetail(
        session=whole,
        client_capabilities=found[0]["client_capabilities"],
        timeline=items,
        next=following,
        total_ms=whole.duration_ms,
        predecessor=await _one(conn, "session", {"first": before, "last": before, "limit": 1}) if before else None,
        successor=await _one(conn, "successor", {"session": key}),
        tools=tuple(Share(name=t["name"], count=t["count"], errors=t["errors"]) for t in tools if t["name"]),
        context_tokens=sum(t["listed"] for t in tools),
    )


async def _one(conn: Conn, name: str, values: dict[str, object]) -> SessionSummary | None:
    found = await fetch(conn, name, values)
    return session_summary(found[0]) if found else None


async def _timeline(
    conn: Conn, whole: SessionSummary, window: Window, cursor: str | None, limit: int
) -> tuple[tuple[TimelineItem, ...], str | None]:
    at, after = time_cursor(cursor)
    values = params(window, Filter(session=whole.session_key), limit=limit + 1,
                    after_at=at or window.since, after_key=after or _NIL)
    rows = [request_row({**row, "session_key": whole.session_key}) for row in await fetch(conn, "timeline", values)]
    standing = await fetch_as(conn, "session_streams", StreamRow, values)
    counted: dict[UUID, int] = {}
    items = [_bar(whole, row, counted) for row in rows] + [_stream_bar(whole, stream) for stream in standing]
    items.sort(key=lambda item: (item.at, _key(item)))
    operations = {key for key, count in counted.items() if count > 1}
    items = [_numbered(item, operations) for item in items]
    more = len(items) > limit
    return tuple(items[:limit]), cursor_of(items[limit - 1].at, _key(items[limit - 1])) if more else None


def _key(item: TimelineItem) -> UUID:
    if item.request is not None:
        return item.request.request_key
    return item.stream.stream_key if item.stream is not None else _NIL


def _bar(whole: SessionSummary, row: RequestRow, counted: dict[UUID, int]) -> TimelineItem:
    number = 0
    if row.operation_key is not None:
        number = counted[row.operation_key] = counted.get(row.operation_key, 0) + 1
    kind = "failure" if row.method is None else ("server_request" if row.direction == "server" else "request")
    return TimelineItem(
        kind=kind, at=row.started_at, offset_ms=(row.started_at - whole.started_at) / timedelta(milliseconds=1),
        length_ms=row.duration_ms if row.end_ms is None else max(row.end_ms, row.duration_ms or 0),
        label=row.method or f"{row.http_method or 'HTTP'} {row.http_status or 'no answer'}",
        is_error=row.is_error, round=number, request=row,
    )


def _numbered(item: TimelineItem, operations: set[UUID]) -> TimelineItem:
    """Rounds are numbered only where an operation has several."""
    if item.request is None or item.request.operation_key in operations or item.round == 0:
        return item
    return TimelineItem(kind=item.kind, at=item.at, offset_ms=item.offset_ms, length_ms=item.length_ms,
                        label=item.label, is_error=item.is_error, request=item.request)


def _stream_bar(whole: SessionSummary, stream: StreamRow) -> TimelineItem:
    return TimelineItem(
        kind="stream", at=stream.opened_at,
        offset_ms=(stream.opened_at - whole.started_at) / timedelta(milliseconds=1),
        length_ms=None if stream.closed_at is None else stream.duration_ms, label=f"{stream.kind} stream",
        is_error=stream.closed_by in ("upstream", "interrupted"), stream=stream,
    )
