"""The first page in one read."""

from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import NO_FILTER, Filter, Health, Overview, Thresholds, Totals, Window


async def overview(
    conn: Conn, window: Window, where: Filter = NO_FILTER, thresholds: Thresholds | None = None
) -> Overview:
    """Everything on the first page. Uses service, client, tool."""
    return Overview(
        window=window, active_sessions=0, active_clients=0, sessions=0, ghosts=0, totals=Totals(), previous=Totals(),
        series=(), tools=(), clients=(), recent=(), errors=(), health=Health(), alerts=(), services=(),
    )
