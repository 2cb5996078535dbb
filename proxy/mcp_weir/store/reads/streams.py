"""Standing streams."""

from mcp_weir.store.reads.queries import Conn, cursor_of, fetch_as, params, time_cursor
from mcp_weir.store.shapes import NO_FILTER, Filter, Page, StreamRow, Window


async def streams(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, cursor: str | None = None, limit: int = 50
) -> Page[StreamRow]:
    """Streams opened in the window, newest first. Uses service, client, session, kind, status.

    Raises ValueError for a cursor that is none.
    """
    at, key = time_cursor(cursor)
    found = await fetch_as(
        conn, "streams", StreamRow, params(window, where, limit=limit + 1, after_at=at, after_key=key)
    )
    following = cursor_of(found[limit - 1].opened_at, found[limit - 1].stream_key) if len(found) > limit else None
    return Page(tuple(found[:limit]), following)
