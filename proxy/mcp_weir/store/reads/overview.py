"""The first page in one read."""

import dataclasses
from typing import Any

from mcp_weir.store.reads.alerts import alerts
from mcp_weir.store.reads.beside import both
from mcp_weir.store.reads.clients import clients
from mcp_weir.store.reads.errors import errors
from mcp_weir.store.reads.health import health, services
from mcp_weir.store.reads.queries import Conn, fetch, params
from mcp_weir.store.reads.requests import requests
from mcp_weir.store.reads.tools import tools
from mcp_weir.store.reads.totals import series, totals
from mcp_weir.store.shapes import NO_FILTER, Alert, Filter, Overview, Thresholds, Window


@dataclasses.dataclass(frozen=True, slots=True)
class Around:
    """What is known already, and had better not be read twice. Alerts of every service, or of the chosen one."""

    alerts: tuple[Alert, ...]
    services: tuple[str, ...]


async def around(conn: Conn, thresholds: Thresholds, where: Filter = NO_FILTER) -> Around:
    """Read just now. Uses service."""
    return Around(await alerts(conn, thresholds, where), await services(conn))


async def overview(
    conn: Conn, window: Window, known: Around, where: Filter = NO_FILTER, *, beside: Conn | None = None
) -> Overview:
    """Everything on the first page. Uses service, client, tool; a second connection if there is one."""
    where = Filter(service=where.service, client=where.client, tool=where.tool)
    figures, lists = await both(
        conn, beside, lambda one: _figures(one, window, where), lambda other: _lists(other, window, where)
    )
    return Overview(window=window, alerts=known.alerts, services=known.services, **figures, **lists)


async def _figures(conn: Conn, window: Window, where: Filter) -> dict[str, Any]:
    """Who came, how much, how quick: fields of Overview."""
    active = (await fetch(conn, "active", params(window, where)))[0]
    everybody = await clients(conn, window, where, sparks=0)
    return {
        "active_sessions": active["sessions"],
        "active_clients": active["clients"],
        "sessions": sum(client.sessions - client.ghosts for client in everybody),
        "ghosts": sum(client.ghosts for client in everybody),
        "clients": everybody[:10],
        "totals": await totals(conn, window, where),
        "previous": await totals(conn, window.previous, where),
        "series": await series(conn, window, where),
    }


async def _lists(conn: Conn, window: Window, where: Filter) -> dict[str, Any]:
    """What was called, what failed, what was lost: fields of Overview."""
    return {
        "tools": await tools(conn, window, where, limit=10, sparks=10),
        "recent": (await requests(conn, window, where, limit=20)).items,
        "errors": await errors(conn, window, where, limit=5),
        "health": await health(conn, window, dataclasses.replace(where, client=None, tool=None)),
    }
