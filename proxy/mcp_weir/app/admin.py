"""The admin port, composed: access, probes, dashboard, metrics."""

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable
from importlib.metadata import version
from urllib.parse import urlsplit

from aiohttp import web

from mcp_weir.admin import health, server
from mcp_weir.admin.access import Access
from mcp_weir.admin.webhook import Webhook
from mcp_weir.app.checks import split_upstream
from mcp_weir.config import Settings
from mcp_weir.dashboard import render
from mcp_weir.dashboard.page import About
from mcp_weir.dashboard.routes import Dashboard
from mcp_weir.recorder.state import State
from mcp_weir.store import reads
from mcp_weir.store.pool import ReadPool
from mcp_weir.store.shapes import Alert, Thresholds

_PORTS = {"http": 80, "https": 443}
_SETTLED_S = 5.0  # after a start there is more important work than templates
_STUCK_S = 30.0  # longer than any batch takes


def compose(
    settings: Settings, url: str, *, metrics: Callable[[], str] | None, recorder: Callable[[], State] | None
) -> web.Application:
    """The admin application. `recorder` tells how a recorder in this process fares; None where there is none."""
    pool = ReadPool(url)
    host = settings.admin.rpartition(":")[0].strip("[]")
    app = server.application(server.Admin(
        access=Access(settings.admin_token, (host, *settings.admin_host)),
        pool=pool,
        dashboard=Dashboard(pool, _about(settings)),
        probes=_probes(settings, pool, recorder),
        metrics=metrics,
    ))
    app.cleanup_ctx.append(_templates)
    if settings.alert_webhook:
        app.cleanup_ctx.append(_alerting(settings.alert_webhook, pool, _thresholds(settings)))
    return app


async def _templates(_: web.Application) -> AsyncIterator[None]:
    loop = asyncio.get_running_loop()
    later = loop.call_later(_SETTLED_S, lambda: loop.run_in_executor(None, render.load))
    yield
    later.cancel()


def _alerting(url: str, pool: ReadPool, thresholds: Thresholds) -> Callable[[web.Application], AsyncIterator[None]]:
    async def ask() -> tuple[Alert, ...]:
        async with pool.connection() as conn:
            return await reads.alerts(conn, thresholds)

    async def alerting(app: web.Application) -> AsyncIterator[None]:
        task = asyncio.create_task(Webhook(url, ask).run())
        yield
        task.cancel()
        await asyncio.wait([task])

    return alerting


async def serve_until_signal(app: web.Application, sock: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await server.serve(app, sock, stop)


def state_metrics(recorder: Callable[[], State]) -> str:
    """How the recorder fares, in the Prometheus text format."""
    state = recorder()
    lines = (
        ("weir_recorder_connected", "gauge", "1 while the recorder has a database", int(state.connected)),
        ("weir_recorder_rows_total", "counter", "Rows written since the recorder's start", state.rows),
        ("weir_recorder_lines_total", "counter", "Spool lines read since the recorder's start", state.lines),
        ("weir_recorder_batches_total", "counter", "Transactions since the recorder's start", state.batches),
        ("weir_recorder_quarantined_total", "counter", "Rows that Postgres refused, kept raw", state.quarantined),
        ("weir_recorder_damaged_lines_total", "counter", "Spool lines whose checksum did not agree",
         state.damaged_lines),
        ("weir_recorder_torn_bytes_total", "counter", "Half lines that killed workers left", state.torn_bytes),
        ("weir_recorder_schema_problem", "gauge", "1 while the schema does not let anything be written",
         int(state.schema_problem is not None)),
        ("weir_recorder_stuck_seconds", "gauge", "Since the recorder last came round", round(state.stuck_s, 3)),
        ("weir_spool_lag_bytes", "gauge", "Bytes in the spool that are not committed", state.lag_bytes),
        ("weir_spool_oldest_unacked_seconds", "gauge", "How long something has been waiting in the spool",
         round(state.oldest_unacked_s, 3)),
        ("weir_spool_strange_files", "gauge", "Files in the spool that are no segments of ours", len(state.strange)),
    )
    return "".join(f"# HELP {n} {says}\n# TYPE {n} {kind}\n{n} {value}\n" for n, kind, says, value in lines)


def _about(settings: Settings) -> About:
    mcp_url = None
    if settings.upstream:
        scheme = "https" if settings.tls_cert else "http"
        mcp_url = f"{scheme}://{settings.listen}{split_upstream(settings.upstream)[1]}"
    return About(
        mcp_url=mcp_url,
        thresholds=_thresholds(settings),
        prices=reads.load_prices(settings.prices, settings.model),
        version=version("mcp-weir"),
    )


def _thresholds(settings: Settings) -> Thresholds:
    return Thresholds(
        error_rate=settings.alert_error_rate, slow_ms=settings.alert_slow_ms, spike=settings.alert_spike
    )


def _probes(settings: Settings, pool: ReadPool, recorder: Callable[[], State] | None) -> dict[str, health.Probe]:
    found = {"database": health.database(pool)}
    if settings.upstream:
        parts = urlsplit(split_upstream(settings.upstream)[0])
        found["upstream"] = health.upstream(parts.hostname or "", parts.port or _PORTS[parts.scheme])
    if recorder is not None:
        found["spool"] = health.spool(settings.data_dir / "spool", settings.keep_free)
        found["recorder"] = _recording(recorder, settings.spool_max)
    return found


def _recording(recorder: Callable[[], State], spool_max: int) -> health.Probe:
    async def probe() -> str | None:
        state = recorder()
        if state.schema_problem is not None:
            return state.schema_problem
        if not state.connected:
            return state.last_error or "the recorder has no database yet"
        if state.passed_at_s and state.stuck_s > _STUCK_S:
            return f"the database has not answered the recorder for {state.stuck_s:.0f} s; all waits in the spool"
        if state.lag_bytes >= spool_max:
            return "the spool holds --spool-max: exchanges are forwarded but not recorded"
        return None

    return probe
