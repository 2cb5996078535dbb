"""The first page in one read."""

import dataclasses

from mcp_weir.store.lanes import Lanes, together
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
    conn: Conn | Lanes, window: Window, where: Filter = NO_FILTER, thresholds: Thresholds | None = None
) -> Overview:
    """Everything on the first page, read side by side over Lanes. Uses service, client, tool."""
    where = Filter(service=where.service, client=where.client, tool=where.tool)
    served = dataclasses.replace(where, client=None, tool=None)
    async with together(conn) as page:
        failing = page.start(lambda c: errors(c, window, where, limit=5))
        everybody = page.start(lambda c: clients(c, window, where, sparks=10))
        points = page.start(lambda c: series(c, window, where))
        called = page.start(lambda c: tools(c, window, where, limit=10, sparks=10))
        recent = page.start(lambda c: requests(c, window, where, limit=20))
        wrong = page.start(lambda c: alerts(c, thresholds or Thresholds(), where))
        recorded = page.start(lambda c: health(c, window, served))
        now = page.start(lambda c: totals(c, window, where))
        before = page.start(lambda c: totals(c, window.previous, where))
        active = page.start(lambda c: fetch(c, "active", params(window, where)))
        known = page.start(services)
    return Overview(
        window=window,
        active_sessions=active.result()[0]["sessions"],
        active_clients=active.result()[0]["clients"],
        sessions=sum(client.sessions - client.ghosts for client in everybody.result()),
        ghosts=sum(client.ghosts for client in everybody.result()),
        totals=now.result(),
        previous=before.result(),
        series=points.result(),
        tools=called.result(),
        clients=everybody.result()[:10],
        recent=recent.result().items,
        errors=failing.result(),
        health=recorded.result(),
        alerts=wrong.result(),
        services=known.result(),
    )
