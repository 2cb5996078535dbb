"""Standing streams."""

from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import NO_FILTER, Filter, Page, StreamRow, Window


async def streams(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, cursor: str | None = None, limit: int = 50
) -> Page[StreamRow]:
    """Streams that were open in the window, newest first. Uses service, client, session, kind, status."""
    return Page(())
