"""Requests, and one request with its four times."""

import uuid

from mcp_weir.dashboard.filters import Param
from mcp_weir.dashboard.page import Ask, Page, wanted
from mcp_weir.errors import UsageError
from mcp_weir.store import reads
from mcp_weir.store.shapes import Page as Piece
from mcp_weir.store.shapes import RequestDetail, RequestRow
from mcp_weir.store.shapes.names import FAULTS, LAYERS, OUTCOMES

_SORTS = tuple(f"-{name}" for name in reads.REQUEST_SORTS) + reads.REQUEST_SORTS
_LIMIT = 50


async def requests(ask: Ask) -> Piece[RequestRow]:
    """Requests of the window, the newest first unless sorted."""
    asked = ask.filters
    where = ask.where(
        method=asked["method"], target=asked["target"], tool=asked["tool"], outcome=asked["outcome"],
        errors=asked["errors"] == "yes", direction=asked["direction"], client=asked["client"],
        principal=asked["principal"], session=_uuid(asked["session"]), operation=_uuid(asked["operation"]),
        text=asked["text"], layer=asked["layer"], fault=asked["fault"], slow_ms=_number(asked["slow_ms"]),
    )
    return await wanted(reads.requests(
        ask.conn, ask.window, where, sort=ask.choice("sort", "-started_at"), cursor=asked.after,
        limit=asked.limit or _LIMIT,
    ))


async def request(ask: Ask) -> RequestDetail | None:
    """One request, and the rounds of its operation."""
    try:
        return await reads.request(ask.conn, uuid.UUID(ask.path["key"]))
    except ValueError:
        return None


def _uuid(said: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(said) if said else None
    except ValueError:
        raise UsageError("session and operation are UUIDs") from None


def _number(said: str | None) -> float | None:
    try:
        value = float(said) if said else None
    except ValueError:
        value = -1.0
    if value is not None and not 0 <= value < 1e12:
        raise UsageError("slow_ms must be a number of milliseconds")
    return value


PAGES = (
    Page(
        path="/requests", title="Requests", says="What was asked, by whom, and how it ended.",
        template="requests.html", view=requests, nav="/requests", listed=True, paged=True,
        params=(
            Param("method", "Method"),
            Param("target", "Tool, prompt or resource"),
            Param("tool", "Tool"),
            Param("outcome", "Outcome", OUTCOMES),
            Param("errors", "Only failures", ("yes",)),
            Param("layer", "Layer that failed", LAYERS),
            Param("fault", "Whose fault", FAULTS),
            Param("direction", "Who asked", ("client", "server")),
            Param("client", "Client"),
            Param("principal", "User: the key's first digits or the name"),
            Param("session", "Session key"),
            Param("operation", "Operation key"),
            Param("slow_ms", "Lasted at least, ms"),
            Param("text", "Text in names or messages"),
            Param("sort", "Order", _SORTS),
        ),
    ),
    Page(
        path="/requests/{key}", title="Request", says="One request: its four times, sizes, flags and rounds.",
        template="request.html", view=request, nav="/requests",
    ),
)
