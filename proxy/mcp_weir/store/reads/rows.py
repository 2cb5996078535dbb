"""From query rows to the shapes of requests and sessions. No I/O."""

from collections.abc import Mapping
from typing import Any

from psycopg import sql

from mcp_weir.store.shapes import DAY, RequestRow, SessionSummary, Window

_REQUEST = tuple(RequestRow.__dataclass_fields__)
_SESSION = tuple(SessionSummary.__dataclass_fields__)


def request_row(found: Mapping[str, Any]) -> RequestRow:
    """A request; one without a transport session shows the one it was derived to."""
    values = {name: found[name] for name in _REQUEST}
    values["flags"] = tuple(found["flags"])
    values["session_key"] = found["session_key"] or found.get("derived_key")
    return RequestRow(**values)


def session_summary(found: Mapping[str, Any]) -> SessionSummary:
    """A session."""
    return SessionSummary(**{name: found[name] for name in _SESSION})


def newest_first(window: Window) -> tuple[Window, ...]:
    """Where to look for the newest rows of a window: its last day and then, if that is not enough, all of it.

    Each day is a partition, and a query is planned for every one that its window touches.
    """
    if window.until - window.since <= DAY:
        return (window,)
    return Window(window.until - DAY, window.until, window.grain), window


def sorting(
    sort: str, allowed: Mapping[str, tuple[sql.SQL, str]], key: str, cursor: str | None
) -> dict[str, sql.Composable]:
    """The parts `sort`, `way` and `after` of a keyset query. `allowed` gives each sort its expression and SQL type.

    Raises ValueError for a sort that is not allowed.
    """
    name = sort.removeprefix("-")
    if name not in allowed:
        raise ValueError(f"cannot sort by {name[:40]!r}; one of {', '.join(allowed)}")
    column, kind = allowed[name]
    falling = sort.startswith("-")
    after: sql.Composable = sql.SQL("true")
    if cursor is not None:
        after = sql.SQL("({}, {}) {} (%(after)s::{}, %(after_key)s::uuid)").format(
            column, sql.SQL(key), sql.SQL("<" if falling else ">"), sql.SQL(kind)
        )
    return {"sort": column, "way": sql.SQL("DESC" if falling else "ASC"), "after": after}
