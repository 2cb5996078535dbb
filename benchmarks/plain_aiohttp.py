"""The proxy that everybody writes first: aiohttp on both sides, nothing read, nothing recorded."""

import sys

import aiohttp
from aiohttp import web

DROP = {"connection", "transfer-encoding", "keep-alive", "host", "content-length"}


async def forward(request: web.Request) -> web.StreamResponse:
    """One exchange."""
    headers = {k: v for k, v in request.headers.items() if k.lower() not in DROP}
    session: aiohttp.ClientSession = request.app["session"]
    body = request.content if request.body_exists else None
    async with session.request(request.method, request.app["to"] + request.path_qs, headers=headers, data=body) as got:
        kept = {k: v for k, v in got.headers.items() if k.lower() not in DROP}
        response = web.StreamResponse(status=got.status, headers=kept)
        await response.prepare(request)
        async for chunk in got.content.iter_any():
            await response.write(chunk)
        await response.write_eof()
        return response


async def open_session(app: web.Application) -> None:
    """One session for all."""
    app["session"] = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), auto_decompress=False, timeout=aiohttp.ClientTimeout(total=None)
    )


if __name__ == "__main__":
    app = web.Application(client_max_size=1 << 30)
    app["to"] = sys.argv[2]
    app.on_startup.append(open_session)
    app.router.add_route("*", "/{path:.*}", forward)
    web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), print=None, access_log=None, backlog=4096)
