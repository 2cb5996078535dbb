"""Sessions: lists by keyset, and one with its timeline."""

from uuid import UUID

from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import NO_FILTER, Filter, Page, SessionDetail, SessionSummary, Window

SESSION_SORTS = ("last_seen_at", "started_at", "request_count", "tool_call_count", "error_count", "tokens_out")


async def sessions(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, sort: str = "-last_seen_at", cursor: str | None = None,
    limit: int = 50,
) -> Page[SessionSummary]:
    """Sessions that were alive in the window. `sort` is one of SESSION_SORTS, `-` before it for falling.

    Uses service, client, principal, status, era, protocol_version, source, end_reason, ghosts, errors, session, text.
    Raises ValueError for an unknown sort or a cursor that is none.
    """
    return Page(())


async def session(conn: Conn, key: UUID, *, cursor: str | None = None, limit: int = 500) -> SessionDetail | None:
    """One session with its timeline from the cursor on; None where there is none."""
    return None


async def find_sessions(conn: Conn, prefix: str, *, limit: int = 10) -> tuple[SessionSummary, ...]:
    """Sessions whose key begins with these hex digits, newest first. Raises ValueError for other signs."""
    return ()
