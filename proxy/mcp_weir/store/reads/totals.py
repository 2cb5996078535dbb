"""Counts, percentiles and series of a window."""

from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import NO_FILTER, Filter, Point, Totals, Window


async def totals(conn: Conn, window: Window, where: Filter = NO_FILTER) -> Totals:
    """The window's figures. Uses service, client, tool, target, method, outcome, direction."""
    return Totals()


async def series(conn: Conn, window: Window, where: Filter = NO_FILTER) -> tuple[Point, ...]:
    """A point for each step of the window's grain, empty ones included. Uses what `totals` uses."""
    return ()
