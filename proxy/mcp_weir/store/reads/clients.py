"""Clients, the revisions they speak, and users where they are known."""

from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import NO_FILTER, ClientSummary, EraPoint, EraShare, Filter, PrincipalSummary, Window


async def clients(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, limit: int = 200
) -> tuple[ClientSummary, ...]:
    """Clients by label, most requests first. Uses service, client, tool, method, outcome."""
    return ()


async def eras(conn: Conn, window: Window, where: Filter = NO_FILTER) -> tuple[EraShare, ...]:
    """Sessions seen in the window by era and revision. Uses service, client."""
    return ()


async def era_series(conn: Conn, window: Window, where: Filter = NO_FILTER) -> tuple[EraPoint, ...]:
    """Sessions begun in the window by era, a point for each step. Uses service, client."""
    return ()


async def principals(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, limit: int = 100
) -> tuple[PrincipalSummary, ...]:
    """Users seen in the window, most requests first. Uses service, client, principal, text."""
    return ()
