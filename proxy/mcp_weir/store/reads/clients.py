"""Clients, the revisions they speak, and users where they are known."""

import dataclasses
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from psycopg import sql

from mcp_weir.store.reads.queries import Conn, fetch, params
from mcp_weir.store.reads.tools import spark_lines, totals_of
from mcp_weir.store.reads.totals import names_of, steps
from mcp_weir.store.shapes import (
    NO_FILTER,
    ClientSummary,
    EraPoint,
    EraShare,
    Filter,
    PrincipalSummary,
    Share,
    Totals,
    Window,
)

_STEP = sql.SQL("date_bin(%(grain)s, started_at, timestamptz '1970-01-01 00:00:00+00')")
_ALIKE = {"step": sql.SQL("NULL::timestamptz"), "by": sql.SQL("1, 2, 3, 4")}
_ALIKE_AND_BEGUN = {"step": _STEP, "by": sql.SQL("GROUPING SETS ((1, 2, 3, 4), (3, 5))")}


@dataclasses.dataclass(frozen=True, slots=True)
class Seen:
    """Sessions alive in a window. `alike`: counts of those with the same client, version, era and revision."""

    alike: tuple[Mapping[str, Any], ...]
    eras: tuple[EraShare, ...]
    era_series: tuple[EraPoint, ...]


async def seen(conn: Conn, window: Window, where: Filter = NO_FILTER) -> Seen:
    """Who came, by client, by era and revision, and over time, in one pass. Uses service, client."""
    found = await fetch(conn, "client_sessions", params(window, where), _ALIKE_AND_BEGUN)
    alike = [row for row in found if row["at"] is None]
    return Seen(tuple(alike), _eras(alike), _era_series(window, [row for row in found if row["at"] is not None]))


async def clients(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, limit: int = 1000, sparks: int = 20,
    known: Seen | None = None,
) -> tuple[ClientSummary, ...]:
    """Clients by label, most requests first. Uses service, client, tool, method, outcome. `known` spares a read."""
    narrowed = where.tool or where.target or where.method or where.outcome or where.errors or where.direction
    values = params(window, where)
    found = await (fetch(conn, "clients", values) if narrowed else names_of(conn, "client", window, where))
    asked = {row["name"]: row for row in found}
    came: dict[str, list[Mapping[str, Any]]] = {}
    for row in known.alike if known else await fetch(conn, "client_sessions", values, _ALIKE):
        came.setdefault(row["name"], []).append(row)
    names = asked.keys() | (set() if narrowed else came.keys())
    ordered = sorted(names, key=lambda name: (-asked[name]["requests"] if name in asked else 0, name))[:limit]
    drawn = await spark_lines(conn, window, where, "client", ordered[:sparks])
    return tuple(
        _summary(name, totals_of(asked[name]) if name in asked else Totals(), came.get(name, []),
                 _summed([line for (_, client), line in drawn.items() if client == name]))
        for name in ordered
    )


def _summary(name: str, figures: Totals, came: list[Mapping[str, Any]], spark: tuple[int, ...]) -> ClientSummary:
    return ClientSummary(
        label=name, totals=figures, spark=spark,
        sessions=sum(row["sessions"] for row in came),
        ghosts=sum(row["ghosts"] for row in came),
        versions=_known(came, "client_version"),
        eras=_known(came, "era"),
        protocol_versions=_known(came, "protocol_version"),
        last_seen_at=max((row["last_seen_at"] for row in came), default=None),
    )


def _known(came: list[Mapping[str, Any]], column: str) -> tuple[str, ...]:
    return tuple(sorted({row[column] for row in came if row[column] is not None}))


def _summed(lines: list[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sum(bins) for bins in zip(*lines, strict=True))


def _eras(alike: list[dict[str, Any]]) -> tuple[EraShare, ...]:
    """By era and revision, most sessions first; so their clients."""
    groups: dict[tuple[str, str | None], dict[str, int]] = {}
    requests: dict[tuple[str, str | None], int] = {}
    for row in alike:
        key = (row["era"], row["protocol_version"])
        by_client = groups.setdefault(key, {})
        by_client[row["name"]] = by_client.get(row["name"], 0) + row["sessions"]
        requests[key] = requests.get(key, 0) + row["requests"]
    shares = (
        EraShare(era=era, protocol_version=revision, sessions=sum(found.values()), requests=requests[era, revision],
                 clients=tuple(Share(name=name, count=count)
                               for name, count in sorted(found.items(), key=lambda item: (-item[1], item[0]))))
        for (era, revision), found in groups.items()
    )
    return tuple(sorted(shares, key=lambda share: (-share.sessions, share.era, share.protocol_version or "")))


def _era_series(window: Window, begun: list[dict[str, Any]]) -> tuple[EraPoint, ...]:
    """Sessions begun in the window by era, a point for each step of its grain."""
    counts: dict[tuple[datetime, str], int] = {}
    for row in begun:
        key = (row["at"], row["era"] if row["era"] in ("legacy", "modern") else "unknown")
        counts[key] = counts.get(key, 0) + row["begun"]
    return tuple(EraPoint(at=at, **{era: counts.get((at, era), 0) for era in ("legacy", "modern", "unknown")})
                 for at in steps(window.since, window.until, window.grain))


async def principals(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, limit: int = 100
) -> tuple[PrincipalSummary, ...]:
    """Users seen in the window, most requests first. Uses service, client, principal, text."""
    found = await fetch(conn, "principals", params(window, where, limit=limit))
    return tuple(PrincipalSummary(**{**row, "clients": tuple(row["clients"])}) for row in found)
