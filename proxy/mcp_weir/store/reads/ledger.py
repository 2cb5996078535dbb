"""The context ledger: what tools/list costs, and which tools are listed and never called."""

from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import NO_FILTER, ContextLedger, Filter, Window


async def ledger(conn: Conn, window: Window, where: Filter = NO_FILTER) -> ContextLedger:
    """What listing tools cost in the window. Uses service, client (for lists and tokens)."""
    return ContextLedger(lists=0, tokens=0, sessions=0, per_session=0.0, entries=(), never_called=())
