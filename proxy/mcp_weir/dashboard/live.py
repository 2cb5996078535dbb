"""What happens now, as Server-Sent Events: pieces of the overview, rendered by the page's own templates.

A stream reads the store every two seconds (more seldom where a look is costly), and only when somebody looks: the
script closes it while the tab is hidden.
"""

import asyncio
import json
from datetime import UTC, datetime

from aiohttp import web

from mcp_weir.dashboard import charts, filters, render
from mcp_weir.dashboard.page import About, Ask
from mcp_weir.dashboard.pages.overview import overview
from mcp_weir.dashboard.shell import Shells
from mcp_weir.errors import StoreError
from mcp_weir.store.pool import ReadPool

_EVERY_S = 2.0
_MOST = 16
_LIFE_S = 3600.0
_SHARED_S = 1.5  # viewers of the same window share a look
_SHARE = 10  # a look that took a second is shared for ten: a page left open costs a tenth of a core at most
_SHARED_MOST_S = 30.0
_KEPT = 64
Look = tuple[str, dict[str, object]]  # an event's name and data


class Live:
    """The live streams; a few at most, ended by stop()."""

    def __init__(self, pool: ReadPool, about: About, shells: Shells) -> None:
        self._pool, self._about, self._shells = pool, about, shells
        self._stopping = asyncio.Event()
        self._running = 0
        self._looks: dict[str, tuple[float, Look]] = {}

    async def stop(self) -> None:
        """End every stream after the event it is at."""
        self._stopping.set()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """GET /live: takes the overview's filters. 503 when too many look already."""
        filters.read(request.query, (), datetime.now(UTC))  # what cannot be read is said before the stream begins
        if self._running >= _MOST:
            raise web.HTTPServiceUnavailable(text=f"{_MOST} live views are open already; reload to look")
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"})
        self._running += 1
        try:
            await response.prepare(request)
            await self._send(request, response)
        except ConnectionError:
            pass
        finally:
            self._running -= 1
        return response

    async def _send(self, request: web.Request, response: web.StreamResponse) -> None:
        deadline = asyncio.get_running_loop().time() + _LIFE_S
        while not self._stopping.is_set() and asyncio.get_running_loop().time() < deadline:
            name, data = await self._shared(request)
            await response.write(f"event: {name}\ndata: {json.dumps(data)}\n\n".encode())
            try:
                await asyncio.wait_for(self._stopping.wait(), _EVERY_S)
            except TimeoutError:
                continue
        await response.write_eof()

    async def _shared(self, request: web.Request) -> Look:
        began, key = asyncio.get_running_loop().time(), request.query_string
        until, look = self._looks.get(key, (0.0, ("", {})))
        if began < until:
            return look
        look = await self._look(request)
        now = asyncio.get_running_loop().time()
        if len(self._looks) >= _KEPT:
            self._looks.clear()
        self._looks[key] = now + shared_for(now - began), look
        return look

    async def _look(self, request: web.Request) -> Look:
        asked = filters.read(request.query, (), datetime.now(UTC))
        try:
            async with self._pool.connection() as conn:
                ask = Ask(conn=conn, shells=self._shells, filters=asked, path={}, about=self._about)
                view = await overview(ask)
        except StoreError as error:
            return "trouble", {"says": str(error)}
        names = ("figures", "activity", "recording")
        pieces = {
            name: render.page(f"live/{name}.html", view=view, f=asked, about=self._about, now=asked.now)
            for name in names
        }
        series, grain = view.overview.series, view.overview.window.grain
        drawn = {name: getattr(charts, name)(series, grain).data for name in ("volume", "latency", "tokens")}
        return "look", {"pieces": pieces, "charts": drawn, "requests": view.overview.totals.requests}


def shared_for(took: float) -> float:
    """Seconds for which a look that took so long is shown again."""
    return min(max(_SHARED_S, _SHARE * took), _SHARED_MOST_S)
