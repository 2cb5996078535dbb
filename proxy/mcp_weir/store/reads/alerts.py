"""Alerts: thresholds against the last quarter of an hour, from rollups and coverage alone."""

from datetime import datetime

from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import NO_FILTER, Alert, Filter, Thresholds


async def alerts(
    conn: Conn, thresholds: Thresholds, where: Filter = NO_FILTER, now: datetime | None = None
) -> tuple[Alert, ...]:
    """What is wrong now, worst first. Uses service."""
    return ()
