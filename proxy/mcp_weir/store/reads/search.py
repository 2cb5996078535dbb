"""Free text over names and messages: looks at each row of the window, and may take longer than a page does."""

from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import NO_FILTER, Filter, SearchHit, Window


async def search(
    conn: Conn, window: Window, words: str, where: Filter = NO_FILTER, *, limit: int = 50
) -> tuple[SearchHit, ...]:
    """Sessions, requests, tools, clients and users whose names or messages hold the words, or whose key begins so.

    Uses service. At most `limit` hits of each kind.
    """
    return ()
