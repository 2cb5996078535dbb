"""The admin application: access first, then health, metrics and the dashboard; errors in a person's words."""

import asyncio
import dataclasses
import socket
from collections.abc import Awaitable, Callable

from aiohttp import web
from aiohttp.typedefs import Middleware

from mcp_weir.admin import health
from mcp_weir.admin.access import COOKIE, HEADERS, LOGIN, LOGIN_LIFE_S, PUBLIC_PREFIX, Access, Refused
from mcp_weir.dashboard import render
from mcp_weir.dashboard.routes import Dashboard, wants_json
from mcp_weir.errors import StoreError, UsageError
from mcp_weir.store.pool import ReadPool

_WRONG_TOKEN_PAUSE_S = 0.5
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclasses.dataclass(frozen=True, slots=True)
class Admin:
    """What the admin port serves; `metrics` returns the Prometheus text format."""

    access: Access
    pool: ReadPool
    dashboard: Dashboard
    probes: dict[str, health.Probe]
    metrics: Callable[[], str] | None = None


def application(admin: Admin) -> web.Application:
    """The aiohttp application; opens and closes the pool with itself."""
    app = web.Application(middlewares=[_guard(admin.access)], client_max_size=16 << 10)
    app.on_response_prepare.append(_secure)
    app.router.add_get("/healthz", health.healthz)
    app.router.add_get("/readyz", health.readyz(admin.probes))
    if admin.metrics is not None:
        app.router.add_get("/metrics", _metrics(admin.metrics))
    app.router.add_get(LOGIN, _login_form)
    app.router.add_post(LOGIN, _login(admin.access))
    app.router.add_routes(admin.dashboard.routes())
    app.on_startup.append(lambda _: admin.pool.open())
    app.on_shutdown.append(lambda _: admin.dashboard.stop())
    app.on_cleanup.append(lambda _: admin.pool.close())
    return app


async def serve(app: web.Application, sock: socket.socket, stop: asyncio.Event) -> None:
    """Serve on a bound socket until `stop`; live streams are ended first."""
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=2)
    await runner.setup()
    try:
        await web.SockSite(runner, sock).start()
        await stop.wait()
    finally:
        await runner.cleanup()


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    static = request.path.startswith(PUBLIC_PREFIX)
    response.headers["Cache-Control"] = "no-cache" if static else "no-store"
    response.headers["Server"] = "mcp-weir"


def _guard(access: Access) -> Middleware:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            access.admit(request)
            return await handler(request)
        except Refused as error:
            if error.status == 401 and not wants_json(request):
                return _form(request, status=401)
            return _refusal(request, error.status, error.reason)
        except UsageError as error:
            return _refusal(request, 400, str(error))
        except StoreError as error:
            return _refusal(request, 503, str(error))
        except web.HTTPException as error:
            if error.status < 400:
                raise
            return _refusal(request, error.status, error.text or error.reason)

    return guard


def _refusal(request: web.Request, status: int, reason: str) -> web.Response:
    extra = {401: {"WWW-Authenticate": "Bearer"}, 405: {"Allow": "GET, HEAD"}, 503: {"Retry-After": "5"}}.get(status)
    if wants_json(request):
        return web.json_response({"error": reason, "status": status}, status=status, headers=extra)
    body = render.page("error.html", status=status, reason=reason, path=_local(request.path_qs))
    return web.Response(text=body, status=status, content_type="text/html", headers=extra)


def _metrics(text: Callable[[], str]) -> Handler:
    async def handler(_: web.Request) -> web.Response:
        return web.Response(
            body=text().encode(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}
        )

    return handler


async def _login_form(request: web.Request) -> web.Response:
    return _form(request, status=200)


def _form(request: web.Request, *, status: int, wrong: bool = False, following: str | None = None) -> web.Response:
    if following is None:
        following = request.query.get("next", "/") if request.path == LOGIN else request.path_qs
    body = render.page("login.html", wrong=wrong, following=_local(following))
    headers = {"Referrer-Policy": "same-origin"}  # under no-referrer a form is sent with Origin: null
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return web.Response(text=body, status=status, content_type="text/html", headers=headers)


def _login(access: Access) -> Handler:
    async def handler(request: web.Request) -> web.StreamResponse:
        form = await request.post()
        following = _local(str(form.get("next", "/")))
        cookie = access.login(str(form.get("token", "")).strip())
        if cookie is None:
            await asyncio.sleep(_WRONG_TOKEN_PAUSE_S)
            return _form(request, status=401, wrong=True, following=following)
        answer = web.Response(status=303, headers={"Location": following})
        answer.set_cookie(
            COOKIE, cookie, httponly=True, samesite="Strict", secure=request.secure, max_age=LOGIN_LIFE_S, path="/"
        )
        return answer

    return handler


def _local(path: str) -> str:
    """A path on this host and nothing else: no open redirect."""
    safe = path.startswith("/") and not path.startswith(("//", "/\\", LOGIN)) and path.isprintable()
    return path if safe else "/"
