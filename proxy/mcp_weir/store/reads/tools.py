"""Tools in a window, and one tool whole."""

from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import NO_FILTER, Filter, ToolDetail, ToolSummary, Window

TOOL_SORTS = ("calls", "errors", "error_rate", "p50", "p95", "p99", "tokens", "name")


async def tools(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, sort: str = "-calls", limit: int = 500
) -> tuple[ToolSummary, ...]:
    """Tools called or listed in the window. `sort` is one of TOOL_SORTS, `-` before it for falling.

    Uses service, client, tool, outcome, text. Raises ValueError for an unknown sort.
    """
    return ()


async def tool(conn: Conn, window: Window, name: str, where: Filter = NO_FILTER) -> ToolDetail | None:
    """One tool; None where it was neither called in the window nor ever listed. Uses service, client."""
    return None
