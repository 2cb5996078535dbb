"""Standing streams."""

from mcp_weir.dashboard.filters import Param
from mcp_weir.dashboard.page import Ask, Page, wanted
from mcp_weir.store import reads
from mcp_weir.store.shapes import Page as Piece
from mcp_weir.store.shapes import StreamRow


async def streams(ask: Ask) -> Piece[StreamRow]:
    """Streams open in the window: how long they lived, what they carried, who closed them."""
    asked = ask.filters
    where = ask.where(kind=asked["kind"], status=asked["status"], client=asked["client"])
    return await wanted(reads.streams(ask.conn, ask.window, where, cursor=asked.after, limit=asked.limit or 50))


PAGES = (
    Page(
        path="/streams", title="Streams", says="Standing streams: how long they lived and who closed them.",
        template="streams.html", view=streams, nav="/streams", listed=True, paged=True,
        params=(
            Param("kind", "Kind", ("get", "sse", "listen", "resumed")),
            Param("status", "Status", ("open", "closed")),
            Param("client", "Client"),
        ),
    ),
)
