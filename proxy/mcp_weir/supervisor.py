"""Processes: `up` keeps relay workers and one recorder running, and the embedded Postgres where there is no URL.

Sockets are bound here and handed down: they outlive a worker, so that a restart refuses nobody.
"""

import dataclasses
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import structlog

from mcp_weir.config import Settings, environment
from mcp_weir.store.embedded import EmbeddedPostgres

_BACKOFF_MAX_S = 5.0
_POLL_S = 0.1
_STEADY_S = 30.0
_HOPELESS = 2  # a usage error: the same command line will fail again
log = structlog.get_logger()


@dataclasses.dataclass(slots=True)
class _Child:
    command: list[str]
    fds: tuple[int, ...]
    process: subprocess.Popen[bytes] | None = None
    pause: float = 0.2
    start_at: float = 0.0
    started: float = 0.0


class Supervisor:
    """Starts children, restarts what dies, ends them on SIGTERM (a second one at once)."""

    def __init__(
        self, settings: Settings, sockets: list[socket.socket], admin: socket.socket | None, database_url: str | None
    ) -> None:
        self._settings, self._sockets, self._admin = settings, sockets, admin
        self._embedded = None if database_url is not None else EmbeddedPostgres(settings.data_dir)
        self.database_url = database_url or ""
        self._stop = threading.Event()
        self._signals = 0
        self._failed = 0
        self._children: dict[str, _Child] = {"recorder": self._recorder()}
        for number, sock in enumerate(sockets):
            name = "relay" if len(sockets) == 1 else f"relay-{number + 1}"
            self._children[name] = _Child(["relay", "--listen-fd", str(sock.fileno())], (sock.fileno(),))

    def run(self, ready: Callable[[], None]) -> int:
        """Until a signal, or a child that cannot ever start; returns the exit code when every child has ended."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        if self._embedded is not None:
            self.database_url = self._embedded.start()
        for name in self._children:
            self._start(name)
        ready()
        while not self._stop.wait(_POLL_S):
            for name in self._children:
                self._look_after(name)
        relays = [name for name in self._children if name != "recorder"]
        self._end(relays, self._settings.drain_timeout + 1)
        self._end(["recorder"], 10)
        if self._embedded is not None:
            self._embedded.stop()
        return self._failed

    def _recorder(self) -> _Child:
        if self._admin is None:
            return _Child(["recorder"], ())
        return _Child(["recorder", "--admin-fd", str(self._admin.fileno())], (self._admin.fileno(),))

    def _on_signal(self, *_: object) -> None:
        self._signals += 1
        self._stop.set()
        if self._signals > 1:
            for child in self._children.values():
                if child.process is not None and child.process.poll() is None:
                    child.process.kill()

    def _look_after(self, name: str) -> None:
        child = self._children[name]
        if child.process is None:
            if time.monotonic() >= child.start_at:
                self._start(name)
            return
        code = child.process.poll()
        if code is None:
            return
        if code == _HOPELESS:
            self._failed = code
            self._stop.set()
            return
        if time.monotonic() - child.started > _STEADY_S:
            child.pause = 0.2
        log.warning("supervisor.restart", child=name, exit_code=code, pause_s=child.pause)
        child.process, child.start_at = None, time.monotonic() + child.pause
        child.pause = min(child.pause * 2, _BACKOFF_MAX_S)

    def _start(self, name: str) -> None:
        child = self._children[name]
        command = [sys.executable, "-m", "mcp_weir", *child.command]
        env = {**os.environ, **environment(self._settings), "WEIR_DATABASE_URL": self.database_url}
        env = {key: value for key, value in env.items() if key != "WEIR_CONFIG" and value}
        child.process = subprocess.Popen(command, env=env, pass_fds=child.fds, start_new_session=True)
        child.started = time.monotonic()

    def _end(self, names: list[str], timeout: float) -> None:
        running = [p for name in names if (p := self._children[name].process) is not None and p.poll() is None]
        for process in running:
            process.terminate()
        deadline = time.monotonic() + timeout
        for process in running:
            while process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.01)
            if process.poll() is None:
                process.kill()
                process.wait()
