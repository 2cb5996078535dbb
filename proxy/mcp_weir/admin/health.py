"""/healthz (this process), /readyz (what it needs), with reasons. The upstream is only connected to, never asked:
each request to an MCP endpoint makes a session in some servers."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import web

from mcp_weir.errors import StoreError
from mcp_weir.store.pool import ReadPool

_DEADLINE_S = 4.0
# Says what is wrong in one sentence, or None.
Probe = Callable[[], Awaitable[str | None]]


def upstream(host: str, port: int) -> Probe:
    """A probe that opens a TCP connection and closes it."""

    async def probe() -> str | None:
        try:
            async with asyncio.timeout(2):
                _, writer = await asyncio.open_connection(host, port)
        except TimeoutError:
            return f"{host}:{port} does not answer"
        except OSError as error:
            why = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror
            return f"{host}:{port} refuses connections ({why or type(error).__name__})"
        writer.close()
        return None

    return probe


def database(pool: ReadPool) -> Probe:
    """A probe that reads the schema's version."""

    async def probe() -> str | None:
        try:
            async with pool.connection() as conn:
                await conn.execute("SELECT max(version) FROM weir.schema_version")
        except StoreError as error:
            return str(error)
        return None

    return probe


def spool(folder: Path, keep_free: int) -> Probe:
    """A probe for a writable spool with room left."""

    async def probe() -> str | None:
        try:
            disk = os.statvfs(folder)
        except OSError as error:
            return f"{folder}: {error.strerror}"
        if not os.access(folder, os.W_OK):
            return f"{folder} cannot be written"
        free = disk.f_bavail * disk.f_frsize
        if free < keep_free:
            return f"{free >> 20} MiB of disk free, less than --keep-free: exchanges are forwarded but not recorded"
        return None

    return probe


async def healthz(_: web.Request) -> web.Response:
    """The process runs its event loop."""
    return web.json_response({"status": "ok"})


def readyz(probes: dict[str, Probe]) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler over these probes: 200, or 503 with a reason for each that fails.

    A probe that hangs (a frozen database: its driver takes ten seconds to be cancelled) is not waited for, and is not
    begun again beside itself.
    """
    running: dict[str, asyncio.Task[str | None]] = {}

    async def run(name: str) -> str | None:
        task = running.get(name)
        if task is None or task.done():
            task = running[name] = asyncio.ensure_future(probes[name]())
        await asyncio.wait({task}, timeout=_DEADLINE_S)
        if task.done() and not task.cancelled():
            return task.result()
        task.cancel()
        return f"no answer within {_DEADLINE_S:g} s"

    async def handler(_: web.Request) -> web.Response:
        said = dict(zip(probes, await asyncio.gather(*map(run, probes)), strict=True))
        ready = not any(said.values())
        checks = {name: {"ok": reason is None, "reason": reason} for name, reason in said.items()}
        body = {"status": "ready" if ready else "not ready", "checks": checks}
        return web.json_response(body, status=200 if ready else 503)

    return handler
