"""Sessions, and one session as a waterfall."""

import dataclasses
import uuid

from mcp_weir.dashboard.filters import Param
from mcp_weir.dashboard.page import Ask, Page, wanted
from mcp_weir.dashboard.waterfall import Waterfall, scale
from mcp_weir.store import reads
from mcp_weir.store.shapes import Page as Piece
from mcp_weir.store.shapes import SessionDetail, SessionSummary
from mcp_weir.store.shapes.names import END_REASONS

_SORTS = tuple(f"-{name}" for name in reads.SESSION_SORTS) + reads.SESSION_SORTS
_LIMIT, _TIMELINE_LIMIT = 50, 100


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """One session with a page of its timeline, and the waterfall's scale."""

    detail: SessionDetail
    waterfall: Waterfall


async def sessions(ask: Ask) -> Piece[SessionSummary]:
    """Sessions alive in the window, the latest first; ghosts (which called nothing) only when asked for."""
    asked = ask.filters
    ghosts = {"only": True, "with": None, "without": False}[ask.choice("ghosts", "without")]
    where = ask.where(
        status=asked["status"], client=asked["client"], principal=asked["principal"], era=asked["era"],
        protocol_version=asked["protocol"], source=asked["source"], end_reason=asked["end"], ghosts=ghosts,
        errors=asked["errors"] == "yes", text=asked["text"],
    )
    return await wanted(reads.sessions(
        ask.conn, ask.window, where, sort=ask.choice("sort", "-last_seen_at"), cursor=asked.after,
        limit=asked.limit or _LIMIT,
    ))


async def session(ask: Ask) -> SessionView | None:
    """One session: every call, stream, server request and round, in order."""
    try:
        key = uuid.UUID(ask.path["key"])
    except ValueError:
        return None
    detail = await wanted(reads.session(
        ask.conn, key, cursor=ask.filters.after, limit=ask.filters.limit or _TIMELINE_LIMIT
    ))
    if detail is None:
        return None
    return SessionView(detail=detail, waterfall=scale(detail.timeline))


PAGES = (
    Page(
        path="/sessions", title="Sessions", says="Who came, with what, for how long, and how it ended.",
        template="sessions.html", view=sessions, nav="/sessions", listed=True, paged=True,
        params=(
            Param("status", "Status", ("active", "idle", "ended")),
            Param("era", "Era", ("legacy", "modern", "unknown")),
            Param("client", "Client"),
            Param("principal", "User: the key's first digits or the name"),
            Param("text", "Text in names"),
            Param("end", "End reason", END_REASONS),
            Param("source", "What the session stands on",
                  ("header", "endpoint", "handle", "principal", "client", "request")),
            Param("protocol", "Protocol version"),
            Param("ghosts", "Sessions without a call", ("without", "with", "only")),
            Param("errors", "Only with errors", ("yes",)),
            Param("sort", "Order", _SORTS),
        ),
    ),
    Page(
        path="/sessions/{key}", title="Session", says="Everything in one session, in order.",
        template="session.html", view=session, nav="/sessions", paged=True,
    ),
)
