"""A recorder process, composed: the drain on a thread of its own, the admin port beside it."""

import signal
import socket
import threading

from mcp_weir.config import Settings
from mcp_weir.recorder.drain import Recorder


def run_recorder(settings: Settings, url: str, admin: socket.socket | None) -> None:
    """Drain the spool until SIGTERM or SIGINT; serve the admin port meanwhile."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    spool = settings.data_dir / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    Recorder(url, spool, idle_window_s=settings.idle_window).run(stop)
