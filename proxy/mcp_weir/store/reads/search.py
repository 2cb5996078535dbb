"""Free text over names and messages: looks at each row of the window, and may take longer than a page does."""

import dataclasses
from uuid import UUID

from mcp_weir.store.reads.queries import Conn, fetch_as, params
from mcp_weir.store.shapes import NO_FILTER, Filter, SearchHit, Window


async def search(
    conn: Conn, window: Window, words: str, where: Filter = NO_FILTER, *, limit: int = 50
) -> tuple[SearchHit, ...]:
    """Sessions, requests, tools, clients and users whose names or messages hold the words, or whose key begins so.

    Uses service. At most `limit` hits of each kind; none for words of blanks only.
    """
    words = words.replace("\0", "").strip()[:200]
    if not words:
        return ()
    values = params(window, dataclasses.replace(where, text=words), limit=limit, words=words, key=_uuid(words))
    values["prefix"] = str(values["like"]).removeprefix("%").lower()
    return tuple(await fetch_as(conn, "search", SearchHit, values))


def _uuid(words: str) -> UUID | None:
    try:
        return UUID(words)
    except ValueError:
        return None
