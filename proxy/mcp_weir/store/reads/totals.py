"""Counts, percentiles and series of a window, from the narrowest rollup that can answer."""

import bisect
import dataclasses
import itertools
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from mcp_weir.store.reads.queries import Conn, Parts, composed, fetch, fetch_as, fragment, params
from mcp_weir.store.reads.spans import sources
from mcp_weir.store.shapes import DAY, HOUR, NO_FILTER, Filter, Point, Totals, Window, floor


async def totals(conn: Conn, window: Window, where: Filter = NO_FILTER) -> Totals:
    """The window's figures. Uses service, client, tool, target, method, outcome, direction, errors.

    Quick for a service, or one client or tool of it; other combinations read the wide rollup and may take seconds.
    """
    facet = facet_of(where)
    if facet is not None:
        parts, edges = sources(facet[0], window)
        values = params(window, where, facet=facet[0], name=facet[1], **edges)
        return (await fetch_as(conn, "facet_totals", Totals, values, parts))[0]
    source = fragment("_wide" if _is_wide(where) else "_narrow")
    return (await fetch_as(conn, "totals", Totals, params(window, where), {"source": source}))[0]


async def names_of(
    conn: Conn, facet: str, window: Window, where: Filter = NO_FILTER, top: int | None = None
) -> list[dict[str, Any]]:
    """Each tool (of each service) or client with the columns of Totals.

    Percentiles of the `top` most asked for, or of all. Uses service, and tool or client.
    """
    parts, edges = sources(facet, window)
    name = where.tool if facet == "tool" else where.client
    values = params(window, where, facet=facet, name=name, by_service=facet == "tool", top=top, **edges)
    return await fetch(conn, "facet_names", values, parts)


async def series(conn: Conn, window: Window, where: Filter = NO_FILTER) -> tuple[Point, ...]:
    """A point for each step of the window's grain, empty ones included. Uses what `totals` uses, and is as quick."""
    facet, grain = facet_of(where), level(window.grain)
    if facet is not None and grain != "minute":
        name, values = "facet_series", params(window, where, facet=facet[0], name=facet[1])
        parts: Parts = {"counts": sql.SQL(f"weir.facet_{grain}"), "latencies": sql.SQL(f"weir.latency_{grain}")}
    else:
        name, values, wide = "series", params(window, where), _is_wide(where)
        table = {"table": sql.SQL(f"weir.{'rollup' if wide else 'total'}_{grain}")}
        parts = {"source": composed("_series_wide" if wide else "_series_narrow", table)}
    found = {row["at"]: _point(**row) for row in await fetch(conn, name, values, parts)}
    lost = {floor(row["at"], window.grain) for row in await fetch(conn, "lost", params(window, where))}
    return tuple(
        dataclasses.replace(found.get(at, Point(at=at)), recorded=at not in lost)
        for at in steps(window.since, window.until, window.grain)
    )


def facet_of(where: Filter) -> tuple[str, str | None] | None:
    """(facet, name) where one facet can answer; None where the filter asks for more than one thing."""
    if where.outcome or where.errors or where.target or where.method or where.direction:
        return None
    if where.tool is None and where.client is None:
        return "all", None
    if where.tool is not None and where.client is not None:
        return None
    return ("tool", where.tool) if where.tool is not None else ("client", where.client)


def _is_wide(where: Filter) -> bool:
    """Whether the total rollups cannot answer: they know service, outcome, and what is a call."""
    return any(value is not None for value in (where.client, where.tool, where.target, where.method, where.direction))


def level(step: timedelta) -> str:
    """The coarsest rollup whose steps make up this one."""
    if step % DAY == timedelta(0):
        return "day"
    return "hour" if step % HOUR == timedelta(0) else "minute"


def steps(since: datetime, until: datetime, grain: timedelta) -> list[datetime]:
    """Every step of the grain that the window touches."""
    first = floor(since, grain)
    return [first + n * grain for n in range(-((first - until) // grain))]


def _point(buckets: list[int] | None, counts: list[float] | None, **figures: Any) -> Point:
    """A step with the percentiles of its histogram, whose buckets may stand in it several times."""
    if not buckets or not counts:
        return Point(**figures)
    rising = sorted(zip(buckets, counts, strict=True))
    upto = list(itertools.accumulate([count for _, count in rising]))
    p50, p95, p99 = (_middle(rising[bisect.bisect_left(upto, part * upto[-1])][0]) for part in (0.50, 0.95, 0.99))
    return Point(**figures, p50_ms=p50, p95_ms=p95, p99_ms=p99)


def _middle(bucket: int) -> float:
    """Milliseconds, as weir.bucket_ms has them."""
    return 0.0 if bucket <= -128 else 2.0 ** ((bucket + 0.5) / 8)
