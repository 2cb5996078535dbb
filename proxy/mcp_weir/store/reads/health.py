"""How recording fares: exchanges seen against stored, gaps, and who records at all."""

from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import NO_FILTER, CoverageRow, Filter, Health, Page, Window


async def health(conn: Conn, window: Window, where: Filter = NO_FILTER) -> Health:
    """Seen, stored, waiting, open, dropped, quarantined and gaps. Uses service."""
    return Health()


async def coverage(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, cursor: str | None = None, limit: int = 100
) -> Page[CoverageRow]:
    """Minutes, newest first. Uses service."""
    return Page(())


async def services(conn: Conn) -> tuple[str, ...]:
    """Every service that ever recorded."""
    return ()
