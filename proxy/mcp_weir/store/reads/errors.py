"""Failures by layer, fault and message, from the hourly error rollup."""

from mcp_weir.store.reads.queries import Conn, fetch, params
from mcp_weir.store.shapes import NO_FILTER, ErrorGroup, Filter, Window


async def errors(conn: Conn, window: Window, where: Filter = NO_FILTER, *, limit: int = 100) -> tuple[ErrorGroup, ...]:
    """Groups of like failures, most first; whole hours. Uses service, client, tool, target, method, outcome, layer,
    fault, text."""
    found = await fetch(conn, "errors", params(window, where, limit=limit))
    return tuple(ErrorGroup(**{**row, "clients": tuple(row["clients"])}) for row in found)
