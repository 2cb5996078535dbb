"""Processes: `up` keeps one relay and one recorder running, and the embedded Postgres where there is no URL."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from mcp_weir.store.embedded import EmbeddedPostgres

_BACKOFF_MAX_S = 5.0


class Supervisor:
    """Starts children, restarts what dies, ends them on SIGTERM (a second one at once)."""

    def __init__(self, sock: socket.socket, data_dir: Path, database_url: str | None, relay_flags: list[str]) -> None:
        self._sock, self._data_dir, self._relay_flags = sock, data_dir, relay_flags
        self._embedded = None if database_url else EmbeddedPostgres(data_dir)
        self.database_url = database_url or ""
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._stop = threading.Event()
        self._signals = 0

    def run(self, ready: Callable[[], None], drain_timeout: float) -> None:
        """Until a signal; returns when every child has ended."""
        if self._embedded is not None:
            self.database_url = self._embedded.start()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        self._start_all()
        ready()
        pause = 0.2
        while not self._stop.wait(0.2):
            died = [name for name, child in self._children.items() if child.poll() is not None]
            for name in died:
                self._stop.wait(pause)
                pause = min(pause * 2, _BACKOFF_MAX_S)
                self._start(name)
            pause = pause if died else max(0.2, pause * 0.98)
        self._end("relay", drain_timeout)
        self._end("recorder", drain_timeout)
        if self._embedded is not None:
            self._embedded.stop()

    def _on_signal(self, *_: object) -> None:
        self._signals += 1
        self._stop.set()
        if self._signals > 1:
            for child in self._children.values():
                child.kill()

    def _start_all(self) -> None:
        self._start("recorder")
        self._start("relay")

    def _start(self, name: str) -> None:
        command = [sys.executable, "-m", "mcp_weir", name, "--data-dir", str(self._data_dir)]
        if name == "relay":
            command += ["--listen-fd", str(self._sock.fileno()), *self._relay_flags]
        env = {**os.environ, "WEIR_DATABASE_URL": self.database_url}  # by environment: argv is public
        self._children[name] = subprocess.Popen(
            command, env=env, pass_fds=(self._sock.fileno(),), start_new_session=True
        )

    def _end(self, name: str, timeout: float) -> None:
        child = self._children[name]
        child.terminate()
        deadline = time.monotonic() + timeout
        while child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        if child.poll() is None:
            child.kill()
            child.wait()
