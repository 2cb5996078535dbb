"""Tools in a window, and one tool whole."""

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from psycopg import sql

from mcp_weir.store.reads.beside import both
from mcp_weir.store.reads.errors import errors
from mcp_weir.store.reads.queries import Conn, fetch, fetch_as, params
from mcp_weir.store.reads.rows import newest_first, request_row
from mcp_weir.store.reads.spans import sources
from mcp_weir.store.reads.totals import facet_of, level, names_of, series, steps, totals
from mcp_weir.store.shapes import (
    DAY,
    HOUR,
    MINUTE,
    NO_FILTER,
    CatalogVersion,
    Filter,
    RequestRow,
    Share,
    ToolDetail,
    ToolSummary,
    Totals,
    Window,
)

_KEYS = {
    "calls": lambda t: t.totals.calls,
    "errors": lambda t: t.totals.errors,
    "error_rate": lambda t: t.totals.error_rate,
    "p50": lambda t: t.totals.p50_ms or 0,
    "p95": lambda t: t.totals.p95_ms or 0,
    "p99": lambda t: t.totals.p99_ms or 0,
    "tokens": lambda t: t.totals.tokens_in + t.totals.tokens_out,
    "name": lambda t: t.name,
}
TOOL_SORTS = tuple(_KEYS)
_BINS = ((62 * MINUTE, MINUTE), (7 * HOUR, 5 * MINUTE), (3 * DAY, HOUR), (8 * DAY, 3 * HOUR))  # 30 to 84 bins
_NEIGHBOURS = 100  # the newest calls whose neighbours are looked at
_FEW = 20  # so few names get their percentiles by name, more by one pass over all
_TOTALS = tuple(Totals.__dataclass_fields__)


async def tools(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, sort: str = "-calls", limit: int = 500, sparks: int = 50
) -> tuple[ToolSummary, ...]:
    """Tools called or listed in the window, the first `sparks` with their calls over time.

    `sort` is one of TOOL_SORTS, `-` before it for falling. Uses service, client, tool, outcome, errors, text.
    Raises ValueError for an unknown sort.
    """
    if sort.removeprefix("-") not in _KEYS:
        raise ValueError(f"cannot sort by {sort[:40]!r}; one of {', '.join(TOOL_SORTS)}")
    top = limit if sort == "-calls" and limit <= _FEW else None
    wide = where.client or where.outcome or where.errors
    found_rows = await (fetch(conn, "tools", params(window, where)) if wide
                        else names_of(conn, "tool", window, where, top))
    called = {(row["service"], row["name"]): row for row in found_rows}
    listed = {(row["service"], row["tool"]): row for row in await fetch(conn, "listed", params(window, where))}
    names = called.keys() | (set() if wide else listed.keys())
    found = [_summary(key, called.get(key), listed.get(key)) for key in names if _named(key[1], where.text)]
    found.sort(key=lambda tool: tool.name)
    found.sort(key=_KEYS[sort.removeprefix("-")], reverse=sort.startswith("-"))
    drawn = await spark_lines(conn, window, where, "target", [tool.name for tool in found[:sparks]])
    last = await _last_called(conn, window, where, [tool for tool in found[:limit] if tool.totals.calls])
    return tuple(
        dataclasses.replace(tool, spark=drawn.get((tool.service, tool.name), ()),
                            last_called_at=last.get((tool.service, tool.name)))
        for tool in found[:limit]
    )


async def tool(
    conn: Conn, window: Window, name: str, where: Filter = NO_FILTER, *, beside: Conn | None = None
) -> ToolDetail | None:
    """One tool; None where it was neither called in the window nor ever listed.

    Uses service, client; a second connection if there is one.
    """
    where = dataclasses.replace(where, tool=name)
    calls, figures = await both(
        conn, beside, lambda one: _calls(one, window, where), lambda other: _figures(other, window, where)
    )
    return ToolDetail(**calls, **figures) if calls is not None else None


async def _calls(conn: Conn, window: Window, where: Filter) -> dict[str, Any] | None:
    """The tool and its calls: fields of ToolDetail."""
    found = await tools(conn, window, where, limit=1)
    if not found:
        return None
    before, after = await _neighbours(conn, window, where)
    slowest, failed = await _slowest(conn, window, where), await errors(conn, window, where, limit=20)
    return {"tool": found[0], "before": before, "after": after, "slowest": slowest, "errors": failed}


async def _figures(conn: Conn, window: Window, where: Filter) -> dict[str, Any]:
    """Its sums: fields of ToolDetail."""
    return {
        "previous": await totals(conn, window.previous, where),
        "series": await series(conn, window, where),
        "outcomes": await _outcomes(conn, window, where),
        "callers": await _shares(conn, window, where, "client"),
        "versions": await _versions(conn, window, where),
    }


def totals_of(row: Mapping[str, Any]) -> Totals:
    """The figures among a row's columns."""
    return Totals(**{name: row[name] for name in _TOTALS})


async def spark_lines(
    conn: Conn, window: Window, where: Filter, column: str, names: Sequence[str]
) -> dict[tuple[str, str], tuple[int, ...]]:
    """Requests of each (service, name) over the window in equal bins; the first may begin before it.

    `column` is target or client.
    """
    if not names:
        return {}
    step = next((bin for longest, bin in _BINS if window.until - window.since <= longest), DAY)
    grain, facet = level(step), "tool" if column == "target" else "client"
    every = steps(window.since, window.until, step)
    values = params(window, where, start=every[0], first=every[0].timestamp(), bin_s=step.total_seconds(),
                    names=list(names), facet=facet)
    narrowed = facet_of(where) is None or (where.client if facet == "tool" else where.tool) is not None
    if grain == "minute" or narrowed:
        parts = {"column": sql.SQL(column), "table": sql.SQL(f"weir.rollup_{grain}")}
        found = await fetch(conn, "sparks", values, parts)
    else:
        found = await fetch(conn, "facet_sparks", values, {"counts": sql.SQL(f"weir.facet_{grain}")})
    drawn = {}
    for row in found:
        line = [0] * len(every)
        for at, count in zip(row["bins"], row["counts"], strict=True):
            line[at] = count
        drawn[row["service"], row["name"]] = tuple(line)
    return drawn


async def _last_called(
    conn: Conn, window: Window, where: Filter, called: Sequence[ToolSummary]
) -> dict[tuple[str, str], datetime]:
    if not called:
        return {}
    missing = {(tool.service, tool.name) for tool in called}
    found: dict[tuple[str, str], datetime] = {}
    for part in newest_first(window):
        named = {"services": [service for service, _ in missing], "names": [name for _, name in missing]}
        rows = await fetch(conn, "last_called", params(part, where, **named))
        found |= {(row["service"], row["name"]): row["at"] for row in rows}
        missing -= found.keys()
        if not missing:
            break
    return found


def _named(name: str, words: str | None) -> bool:
    return words is None or words.casefold() in name.casefold()


def _summary(
    key: tuple[str, str], called: Mapping[str, Any] | None, listed: Mapping[str, Any] | None
) -> ToolSummary:
    return ToolSummary(
        name=key[1],
        service=key[0],
        totals=totals_of(called) if called else Totals(),
        listed=None if listed is None else True,
        context_tokens=listed["tokens"] if listed else 0,
    )


async def _shares(conn: Conn, window: Window, where: Filter, column: str) -> tuple[Share, ...]:
    parts = {"column": sql.SQL(column)}
    return tuple(await fetch_as(conn, "shares", Share, params(window, where, limit=20), parts))


async def _outcomes(conn: Conn, window: Window, where: Filter) -> tuple[Share, ...]:
    if where.client is not None:
        return await _shares(conn, window, where, "outcome")
    parts, edges = sources("tool", window)
    values = params(window, where, facet="tool", name=where.tool, **edges)
    return tuple(await fetch_as(conn, "outcomes", Share, values, parts))


async def _slowest(conn: Conn, window: Window, where: Filter) -> tuple[RequestRow, ...]:
    return tuple(request_row(row) for row in await fetch(conn, "slowest", params(window, where)))


async def _neighbours(conn: Conn, window: Window, where: Filter) -> tuple[tuple[Share, ...], tuple[Share, ...]]:
    calls: list[dict[str, Any]] = []
    for part in newest_first(window):
        calls = await fetch(conn, "newest_calls", params(part, where, limit=_NEIGHBOURS))
        if len(calls) == _NEIGHBOURS:
            break
    if not calls:
        return (), ()
    times = [call["started_at"] for call in calls]
    found = await fetch(conn, "neighbours", {
        "sessions": [call["session_key"] for call in calls], "derived": [call["derived"] for call in calls],
        "at": times, "first": min(times) - HOUR, "last": max(times) + HOUR})
    sides = {side: tuple(Share(name=row["name"], count=row["count"], errors=row["errors"])
                         for row in found if row["side"] == side) for side in ("before", "after")}
    return sides["before"], sides["after"]


async def _versions(conn: Conn, window: Window, where: Filter) -> tuple[CatalogVersion, ...]:
    return tuple(await fetch_as(conn, "versions", CatalogVersion, params(window, where)))
