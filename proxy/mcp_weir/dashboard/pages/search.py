"""Search over names and messages."""

import dataclasses

from mcp_weir.dashboard.filters import Param
from mcp_weir.dashboard.page import Ask, Page
from mcp_weir.store import reads
from mcp_weir.store.shapes import SearchHit


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SearchView:
    """What was looked for, and what was found."""

    words: str | None
    hits: tuple[SearchHit, ...]


async def search(ask: Ask) -> SearchView:
    """Sessions, requests, tools, clients and users that hold the words, or whose key begins with them."""
    words = (ask.filters["q"] or "").strip()
    if not words:
        return SearchView(words=None, hits=())
    hits = await reads.search(ask.conn, ask.window, words, ask.where(), limit=ask.filters.limit or 50)
    return SearchView(words=words, hits=hits)


PAGES = (
    Page(
        path="/search", title="Search", says="Names, messages and keys. Looks at every row of the window.",
        template="search.html", view=search, nav="/search", listed=True,
        params=(Param("q", "Words, or a key's start"),),
    ),
)
