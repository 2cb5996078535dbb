"""Requests: lists by keyset, and one whole."""

from uuid import UUID

from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import NO_FILTER, Filter, Page, RequestDetail, RequestRow, Window

REQUEST_SORTS = ("started_at", "duration_ms", "request_bytes", "response_bytes", "tokens_in", "tokens_out")


async def requests(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, sort: str = "-started_at", cursor: str | None = None,
    limit: int = 50,
) -> Page[RequestRow]:
    """Requests and failed exchanges, running ones included. `sort` is one of REQUEST_SORTS, `-` before it for falling.

    Uses every field of Filter but status, source, end_reason, kind and ghosts. Sorts other than by time, and filters on
    text, look at each row of the window. Raises ValueError for an unknown sort or a cursor that is none.
    """
    return Page(())


async def request(conn: Conn, key: UUID) -> RequestDetail | None:
    """One request whole; None where there is none (any more)."""
    return None
