"""Counts, percentiles and series of a window."""

import dataclasses
from datetime import datetime, timedelta

from psycopg import sql

from mcp_weir.store.reads.queries import Conn, fetch, fetch_as, fragment, params
from mcp_weir.store.shapes import DAY, HOUR, NO_FILTER, Filter, Point, Totals, Window, floor


async def totals(conn: Conn, window: Window, where: Filter = NO_FILTER) -> Totals:
    """The window's figures. Uses service, client, tool, target, method, outcome, direction, errors."""
    source = fragment("_wide" if is_wide(where) else "_narrow")
    return (await fetch_as(conn, "totals", Totals, params(window, where), {"source": source}))[0]


async def series(conn: Conn, window: Window, where: Filter = NO_FILTER) -> tuple[Point, ...]:
    """A point for each step of the window's grain, empty ones included. Uses what `totals` uses."""
    wide = is_wide(where)
    parts = {"filter": fragment("_rollup_filter" if wide else "_total_filter"),
             "table": _wide_table(window.grain) if wide else sql.SQL(f"weir.total_{level(window.grain)}")}
    found = {point.at: point for point in await fetch_as(conn, "series", Point, params(window, where), parts)}
    lost = {floor(row["at"], window.grain) for row in await fetch(conn, "lost", params(window, where))}
    return tuple(
        dataclasses.replace(found.get(at, Point(at=at)), recorded=at not in lost)
        for at in steps(window.since, window.until, window.grain)
    )


def is_wide(where: Filter) -> bool:
    """Whether the narrow rollups cannot answer: they know service, outcome, and what is a call."""
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


def _wide_table(grain: timedelta) -> sql.SQL:
    return sql.SQL(
        "(SELECT *, (direction = 'client' AND method = 'tools/call') AS is_call"
        f" FROM weir.rollup_{level(grain)}) AS w"
    )

