"""A recorder process, composed: the drain on a thread of its own, the admin port beside it."""

import asyncio
import signal
import socket
import threading

from mcp_weir.app import admin as admin_port
from mcp_weir.config import Settings
from mcp_weir.recorder.drain import Recorder


def run_recorder(settings: Settings, url: str, admin: socket.socket | None) -> None:
    """Drain the spool until SIGTERM or SIGINT; serve the admin port meanwhile."""
    spool = settings.data_dir / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    recorder, stop = Recorder(url, spool, idle_window_s=settings.idle_window), threading.Event()
    if admin is None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        recorder.run(stop)
        return
    app = admin_port.compose(
        settings, url, metrics=lambda: admin_port.state_metrics(lambda: recorder.state), recorder=lambda: recorder.state
    )
    drain = threading.Thread(target=recorder.run, args=(stop,), name="drain")
    drain.start()
    try:
        asyncio.run(admin_port.serve_until_signal(app, admin))
    finally:
        stop.set()
        drain.join()
