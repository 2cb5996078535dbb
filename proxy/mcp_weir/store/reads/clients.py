"""Clients, the revisions they speak, and users where they are known."""

from mcp_weir.store.reads.queries import Conn, fetch, fetch_as, params
from mcp_weir.store.reads.tools import spark_lines, totals_of
from mcp_weir.store.reads.totals import steps
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


async def clients(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, limit: int = 1000, sparks: int = 20
) -> tuple[ClientSummary, ...]:
    """Clients by label, most requests first. Uses service, client, tool, method, outcome."""
    narrowed = where.tool or where.target or where.method or where.outcome or where.errors or where.direction
    values = params(window, where, facet="client", name=where.client, by_service=False, top=None)
    asked = {row["name"]: row for row in await fetch(conn, "clients" if narrowed else "facet_names", values)}
    came = {row["name"]: row for row in await fetch(conn, "client_sessions", values)}
    names = asked.keys() | (set() if narrowed else came.keys())
    ordered = sorted(names, key=lambda name: (-asked[name]["requests"] if name in asked else 0, name))[:limit]
    drawn = await spark_lines(conn, window, where, "client", ordered[:sparks])
    return tuple(
        ClientSummary(
            label=name,
            totals=totals_of(asked[name]) if name in asked else Totals(),
            sessions=came[name]["sessions"] if name in came else 0,
            ghosts=came[name]["ghosts"] if name in came else 0,
            versions=tuple(came[name]["versions"]) if name in came else (),
            eras=tuple(came[name]["eras"]) if name in came else (),
            protocol_versions=tuple(came[name]["protocol_versions"]) if name in came else (),
            last_seen_at=came[name]["last_seen_at"] if name in came else None,
            spark=_summed([line for (_, client), line in drawn.items() if client == name]),
        )
        for name in ordered
    )


def _summed(lines: list[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sum(bins) for bins in zip(*lines, strict=True))


async def eras(conn: Conn, window: Window, where: Filter = NO_FILTER) -> tuple[EraShare, ...]:
    """Sessions seen in the window by era and revision, most first. Uses service, client."""
    groups: dict[tuple[str, str | None], list[Share]] = {}
    requests: dict[tuple[str, str | None], int] = {}
    for row in await fetch(conn, "eras", params(window, where)):
        key = (row["era"], row["protocol_version"])
        groups.setdefault(key, []).append(Share(name=row["name"], count=row["sessions"]))
        requests[key] = requests.get(key, 0) + row["requests"]
    shares = (
        EraShare(era=key[0], protocol_version=key[1], sessions=sum(share.count for share in found),
                 requests=requests[key], clients=tuple(found))
        for key, found in groups.items()
    )
    return tuple(sorted(shares, key=lambda share: -share.sessions))


async def era_series(conn: Conn, window: Window, where: Filter = NO_FILTER) -> tuple[EraPoint, ...]:
    """Sessions begun in the window by era, a point for each step of its grain. Uses service, client."""
    found = {point.at: point for point in await fetch_as(conn, "era_series", EraPoint, params(window, where))}
    return tuple(found.get(at, EraPoint(at=at, legacy=0, modern=0, unknown=0))
                 for at in steps(window.since, window.until, window.grain))


async def principals(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, limit: int = 100
) -> tuple[PrincipalSummary, ...]:
    """Users seen in the window, most requests first. Uses service, client, principal, text."""
    found = await fetch(conn, "principals", params(window, where, limit=limit))
    return tuple(PrincipalSummary(**{**row, "clients": tuple(row["clients"])}) for row in found)
