"""Every page as HTML and as JSON, static files, the live stream, and the API's description."""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

import msgspec
from aiohttp import web

from mcp_weir.dashboard import filters, openapi, render
from mcp_weir.dashboard.live import Live
from mcp_weir.dashboard.page import About, Ask, Page
from mcp_weir.dashboard.pages import (
    clients,
    errors,
    overview,
    recording,
    requests,
    search,
    sessions,
    streams,
    tools,
)
from mcp_weir.dashboard.shell import Shells
from mcp_weir.store.pool import ReadPool
from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import to_json

PAGES: tuple[Page, ...] = (
    *overview.PAGES, *sessions.PAGES, *tools.PAGES, *clients.PAGES, *errors.PAGES, *requests.PAGES, *streams.PAGES,
    *search.PAGES, *recording.PAGES,
)
NAV = tuple(page for page in PAGES if page.listed)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Dashboard:
    """The pages over one pool of read connections."""

    def __init__(self, pool: ReadPool, about: About) -> None:
        self._pool, self._about = pool, about
        self._shells = Shells(about.thresholds)
        self._live = Live(pool, about, self._shells)

    def routes(self) -> list[web.AbstractRouteDef]:
        """Everything but access, health and metrics, which are the admin port's."""
        found: list[web.AbstractRouteDef] = [
            web.static("/static", Path(str(resources.files("mcp_weir.dashboard") / "static"))),
            web.get("/live", self._live.handle),
            web.get("/api", self._api_page),
            web.get("/api/openapi.json", self._openapi),
        ]
        for page in PAGES:
            found.append(web.get(page.path, self._html(page)))
            found.append(web.get(api_path(page), self._json(page)))
        return found

    async def stop(self) -> None:
        """End the live streams."""
        await self._live.stop()

    def _html(self, page: Page) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            asked = _filters(page, request)
            async with self._pool.connection() as conn, self._beside(page) as beside:
                shell = await self._shells.get(conn, asked.now)
                view = await page.view(self._ask(conn, beside, asked, request.match_info))
            if view is None:
                raise web.HTTPNotFound(text=f"There is no such {page.title.lower()} in the record, or not any more.")
            body = render.page(
                page.template, page=page, view=view, f=asked, shell=shell, nav=NAV, about=self._about, now=asked.now,
                path=request.path, twin=_twin(request),
            )
            return web.Response(text=body, content_type="text/html")

        return handler

    def _json(self, page: Page) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            asked = _filters(page, request)
            async with self._pool.connection() as conn, self._beside(page) as beside:
                view = await page.view(self._ask(conn, beside, asked, request.match_info))
            if view is None:
                raise web.HTTPNotFound(text=f"no such {page.title.lower()}")
            body = {
                "from": asked.start.isoformat(), "to": asked.end.isoformat(), "service": asked.service,
                "filters": asked.own, "data": to_json(view),
            }
            return web.Response(body=msgspec.json.encode(body), content_type="application/json")

        return handler

    def _beside(self, page: Page) -> contextlib.AbstractAsyncContextManager[Conn | None]:
        return self._pool.spare() if page.heavy else contextlib.nullcontext()

    def _ask(self, conn: Conn, beside: Conn | None, asked: filters.Filters, path: Mapping[str, str]) -> Ask:
        return Ask(conn=conn, beside=beside, shells=self._shells, filters=asked, path=path, about=self._about)

    async def _api_page(self, request: web.Request) -> web.StreamResponse:
        body = render.page(
            "api.html", pages=[(api_path(page), page) for page in PAGES], kept=filters.SHARED, most=filters.MOST,
            base=f"{request.scheme}://{request.host}",
        )
        return web.Response(text=body, content_type="text/html")

    async def _openapi(self, _: web.Request) -> web.StreamResponse:
        return web.json_response(openapi.document([(api_path(page), page) for page in PAGES], self._about.version))


def api_path(page: Page) -> str:
    """Where a page's JSON twin is."""
    return "/api/overview" if page.path == "/" else f"/api{page.path}"


def wants_json(request: web.Request) -> bool:
    """Whether an error is better said in JSON: to the API, and to whoever does not ask for HTML."""
    return request.path.startswith("/api/") or "text/html" not in request.headers.get("Accept", "")


def _filters(page: Page, request: web.Request) -> filters.Filters:
    query: Mapping[str, str] = request.query
    return filters.read(query, page.params, datetime.now(UTC))


def _twin(request: web.Request) -> str:
    path = "/overview" if request.path == "/" else request.path
    return f"/api{path}" + (f"?{request.query_string}" if request.query_string else "")
