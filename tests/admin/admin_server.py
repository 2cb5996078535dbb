"""The admin port on a socket of its own, for tests that look from outside."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import aiohttp

from mcp_weir.app import admin
from mcp_weir.config import Settings
from mcp_weir.recorder.drain import State


@contextlib.asynccontextmanager
async def serving(
    settings: Settings, url: str, state: State | None = None, metrics: Callable[[], str] | None = None
) -> AsyncIterator[aiohttp.ClientSession]:
    """A client session whose paths are those of a real admin server; ends the server afterwards."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    sock.listen()  # whoever connects before the server accepts waits
    app = admin.compose(settings, url, metrics=metrics, recorder=None if state is None else lambda: state)
    stop = asyncio.Event()
    running = asyncio.create_task(admin.server.serve(app, sock, stop))
    base = f"http://127.0.0.1:{sock.getsockname()[1]}"
    async with aiohttp.ClientSession(base, cookie_jar=aiohttp.CookieJar(unsafe=True)) as client:
        try:
            yield client
        finally:
            stop.set()
            await running
