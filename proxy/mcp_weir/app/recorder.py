"""A recorder process, composed: the drain on a thread of its own, retention beside it, the admin port in front."""

import asyncio
import gc
import os
import signal
import socket
import sys
import threading

from mcp_weir import log
from mcp_weir.app import admin as admin_port
from mcp_weir.app import checks, data_dir
from mcp_weir.app.database import database_url
from mcp_weir.app.following import follow_supervisor, say_ready
from mcp_weir.app.telemetry import otel
from mcp_weir.config import Settings
from mcp_weir.errors import UsageError
from mcp_weir.recorder.drain import Recorder
from mcp_weir.recorder.keeper import keep_house
from mcp_weir.sinks.prometheus import Metrics
from mcp_weir.sinks.sink import Sink

_ENDS_WITHIN_S = 9.0  # a database that does not answer keeps nobody from ending: the spool is safe


def part(settings: Settings, admin: socket.socket | None) -> None:
    """Drain, and serve this socket (without one: --admin). Raises UsageError, as run_recorder() does."""
    url = database_url(settings)
    if url is None:
        raise UsageError("the recorder alone needs --database-url, WEIR_DATABASE_URL or libpq's PG* variables")
    run_recorder(settings, url, checks.bind_admin(settings) if admin is None else admin)


def run_recorder(settings: Settings, url: str, admin: socket.socket | None) -> None:
    """Drain the spool until SIGTERM or SIGINT; serve the admin port meanwhile.

    Raises UsageError where another recorder drains this data directory, or it cannot be used.
    """
    supervised = follow_supervisor()
    data_dir.make(settings.data_dir)
    if not supervised:  # where `up` has it, its recorder is perhaps only about to start
        data_dir.hold(settings.data_dir)
    spool = settings.data_dir / "spool"
    data_dir.make(spool)
    lock = data_dir.take_lock(settings.data_dir)
    say_ready()  # that it drains is not waited for: the database may come later
    metrics, stop, collector = Metrics(), threading.Event(), otel(settings)
    sinks: list[Sink] = [metrics, collector] if collector else [metrics]
    recorder = Recorder(url, spool, idle_window_s=settings.idle_window, sinks=sinks)
    drain = threading.Thread(target=recorder.run, args=(stop,), name="drain", daemon=True)
    keeper = threading.Thread(target=keep_house, args=(url, settings.retention, stop), name="keeper", daemon=True)
    tune_process()
    drain.start()
    keeper.start()
    try:
        if admin is None:
            _wait_for_signal()
        else:
            app = admin_port.compose(
                settings, url, recorder=lambda: recorder.state,
                metrics=lambda: metrics.text() + admin_port.state_metrics(lambda: recorder.state)
                + (collector.metrics() if collector else ""),
            )
            asyncio.run(admin_port.serve_until_signal(app, admin))
    finally:
        stop.set()
        drain.join(_ENDS_WITHIN_S)
        if collector:
            collector.close()
        if recorder.state.lag_bytes:
            log.warning("recorder.left_in_spool", bytes=recorder.state.lag_bytes, hint="the next start goes on with it")
        os.close(lock)


def tune_process() -> None:
    """For a process that drains: call when everything is loaded."""
    gc.freeze()  # what is loaded by now stays; a batch is tens of thousands of objects that all go at once
    gc.set_threshold(100_000, 50, 100)
    # Who feeds Postgres gets its turn soon while the next batch is read: a COPY of 8 MiB waits for the socket a hundred
    # times, and each time for so long
    sys.setswitchinterval(0.0001)


def _wait_for_signal() -> None:
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    while not stopped.wait(3600):
        continue
