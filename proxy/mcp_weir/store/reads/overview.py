"""The first page in one read."""

import dataclasses

from mcp_weir.store.reads.alerts import alerts
from mcp_weir.store.reads.clients import clients
from mcp_weir.store.reads.errors import errors
from mcp_weir.store.reads.health import health, services
from mcp_weir.store.reads.queries import Conn, fetch, params
from mcp_weir.store.reads.requests import requests
from mcp_weir.store.reads.tools import tools
from mcp_weir.store.reads.totals import series, totals
from mcp_weir.store.shapes import NO_FILTER, Filter, Overview, Thresholds, Window


async def overview(
    conn: Conn, window: Window, where: Filter = NO_FILTER, thresholds: Thresholds | None = None
) -> Overview:
    """Everything on the first page. Uses service, client, tool."""
    where = Filter(service=where.service, client=where.client, tool=where.tool)
    active = (await fetch(conn, "active", params(window, where)))[0]
    everybody = await clients(conn, window, where, sparks=10)
    return Overview(
        window=window,
        active_sessions=active["sessions"],
        active_clients=active["clients"],
        sessions=sum(client.sessions - client.ghosts for client in everybody),
        ghosts=sum(client.ghosts for client in everybody),
        totals=await totals(conn, window, where),
        previous=await totals(conn, window.previous, where),
        series=await series(conn, window, where),
        tools=await tools(conn, window, where, limit=10, sparks=10),
        clients=everybody[:10],
        recent=(await requests(conn, window, where, limit=20)).items,
        errors=await errors(conn, window, where, limit=5),
        health=await health(conn, window, dataclasses.replace(where, client=None, tool=None)),
        alerts=await alerts(conn, thresholds or Thresholds(), where),
        services=await services(conn),
    )
