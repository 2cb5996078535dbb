"""One child process of `up`: started, looked after with a backoff, told to end, and ended when `up` dies."""

import contextlib
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping

from mcp_weir import log

_BACKOFF_S = (0.2, 5.0)
_STEADY_S = 10.0
USAGE = 2  # a usage error: the same command line will fail again
_PARENT_FD, _READY_FD = "WEIR_PARENT_FD", "WEIR_READY_FD"  # as app/following.py reads them


class Child:
    """A command that ought to run. Its methods are called from one thread."""

    _leash: tuple[int, int] | None = None  # a pipe whose writing end only this process holds: its end is our end

    def __init__(self, name: str, command: list[str], fds: tuple[int, ...]) -> None:
        self.name = name
        self.was_steady = False  # it served for a while once: a failure now is no usage error
        self._command, self._fds = command, fds
        self._process: subprocess.Popen[bytes] | None = None
        self._pause, self._start_at, self._started, self._ready = _BACKOFF_S[0], 0.0, 0.0, -1
        self._serves = False

    def successor(self) -> "Child":
        """The same command on the same sockets, not started."""
        return Child(self.name, self._command, self._fds)

    def start(self, env: Mapping[str, str]) -> None:
        """Start it. What is scarce just now (memory, descriptors) is no reason to end the others: it is tried again."""
        self._forget_ready()
        try:
            self._spawn(env)
        except OSError as error:
            self._start_at = time.monotonic() + self._pause
            log.error("supervisor.not_started", child=self.name, error=error.strerror, pause_s=self._pause)
            self._pause = min(self._pause * 2, _BACKOFF_S[1])
        self._started = time.monotonic()

    def _spawn(self, env: Mapping[str, str]) -> None:
        if Child._leash is None:
            Child._leash = os.pipe()
        self._ready, theirs = os.pipe()
        said = {**env, _PARENT_FD: str(Child._leash[0]), _READY_FD: str(theirs)}
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mcp_weir", *self._command], env=said,
                pass_fds=(*self._fds, Child._leash[0], theirs), start_new_session=True,
            )
        finally:
            os.close(theirs)

    def look_after(self, env: Callable[[], Mapping[str, str]]) -> int | None:
        """Start it again if it died and its pause is over; the exit code of one that has just been found dead."""
        if self._process is None:
            if time.monotonic() >= self._start_at:
                self.start(env())
            return None
        lived = time.monotonic() - self._started
        self.was_steady = self.was_steady or (lived > _STEADY_S and self.serves())
        code = self._process.poll()
        if code is None:
            return None
        if lived > _STEADY_S:
            self._pause = _BACKOFF_S[0]
        if code != USAGE or self.was_steady:
            log.warning("supervisor.restart", child=self.name, exit_code=code, pause_s=self._pause)
        self._process, self._start_at = None, time.monotonic() + self._pause
        self._pause = min(self._pause * 2, _BACKOFF_S[1])
        return code

    def wait_ready(self, seconds: float, stop: threading.Event) -> bool:
        """It serves, at last. False when it died, took too long, or everything is to stop."""
        deadline = time.monotonic() + seconds
        while self._ready >= 0 and time.monotonic() < deadline and not stop.is_set():
            if self.serves():
                return True
            if select.select([self._ready], [], [], 0.1)[0]:
                return self.serves()
        return False

    def serves(self) -> bool:
        """It has said that it does."""
        if not self._serves and self._ready >= 0 and select.select([self._ready], [], [], 0)[0]:
            self._serves = os.read(self._ready, 1) != b""
        return self._serves

    def runs(self) -> bool:
        """It is alive."""
        return self._process is not None and self._process.poll() is None

    def terminate(self) -> None:
        """SIGTERM: it drains."""
        if self._process is not None and self.runs():
            self._process.terminate()

    def kill(self, *, wait: bool = True) -> None:
        """SIGKILL, if it still runs."""
        if self._process is not None and self.runs():
            self._process.kill()
            if wait:
                self._process.wait()
        if wait:
            self._forget_ready()

    def _forget_ready(self) -> None:
        self._serves = False
        if self._ready >= 0:
            with contextlib.suppress(OSError):
                os.close(self._ready)
            self._ready = -1
