"""Processes: `up` keeps relay workers and one recorder running, and the embedded Postgres where there is no URL.

Sockets are bound here and handed down: they outlive a worker, so that a restart refuses nobody. SIGHUP hands over from
old workers to new ones: a new one serves the same socket before the old one drains. The settings are read again first;
what is bound or shared from the start (addresses, workers, the data directory, the database) stays until a restart.
"""

import contextlib
import dataclasses
import os
import signal
import socket
import threading
import time
from collections.abc import Callable

from mcp_weir import log
from mcp_weir.child import USAGE, Child
from mcp_weir.config import FIELDS, Settings, environment, variable
from mcp_weir.errors import NotStarting, StoreError, UsageError, WeirError
from mcp_weir.store.embedded import EmbeddedPostgres

_POLL_S = 0.1
_LOOK_S = 1.0
_READY_WITHIN_S = 30.0
_RELAYS_FIRST_S = 1.0
_AT_ONCE = 128 + signal.SIGTERM
_OURS = frozenset({"WEIR_CONFIG", *map(variable, FIELDS)})
_STAYS = ("listen", "admin", "workers", "data_dir", "database_url", "drain_timeout")


class Supervisor:
    """Starts children, restarts what dies, ends them on SIGTERM (a second one at once)."""

    def __init__(
        self, settings: Settings, sockets: list[socket.socket], admin: socket.socket | None, database_url: str | None,
        again: Callable[[], Settings],
    ) -> None:
        self._again = again  # the settings as flags, environment and file say them now; raises UsageError
        self._settings, self._sockets, self._admin = settings, sockets, admin
        self._embedded = None if database_url is not None else EmbeddedPostgres(settings.data_dir)
        self._reviving: threading.Thread | None = None
        self._trouble: WeirError | None = None  # why the embedded database cannot be had
        self.database_url = database_url or ""  # the embedded one's is not known before it has started
        self._stop, self._hand_over = threading.Event(), threading.Event()
        self._signals = 0
        self._failed = 0
        self._next_look, self._patience_s = 0.0, _LOOK_S
        # relays end first, then the recorder drains what they spooled, then Postgres stops: all within the timeout
        self._last_s = min(5.0, settings.drain_timeout * 0.3)
        self._relays = [Child(name, ["relay", "--listen-fd", str(sock.fileno())], (sock.fileno(),))
                        for name, sock in zip(_names(len(sockets)), sockets, strict=True)]
        # the recorder waits for the end of this pipe before it loads anything: each core has a relay to start first
        after, self._relays_first = os.pipe()
        self._recorder = Child("recorder", *_recorder_command(admin, after))
        self._retired: list[tuple[Child, float]] = []  # old workers that drain, and until when they may

    def run(self, ready: Callable[[], None]) -> int:
        """Until a signal, or a child that cannot ever start; returns the exit code when every child has ended.

        Relays come first: the spool needs no database. Raises UsageError, StoreError: no embedded database.
        """
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        signal.signal(signal.SIGHUP, lambda *_: self._hand_over.set())
        greeted = False
        try:
            for child in self._children():
                child.start(self._environment())
            if self._embedded is not None:
                self._reviving = threading.Thread(
                    target=self._first_start, args=(self._embedded,), name="start", daemon=True)
                self._reviving.start()
            self._relays[-1].wait_ready(_RELAYS_FIRST_S, self._stop)
            os.close(self._relays_first)
            while not self._stop.is_set():
                self._look_after_all()
                self._stop.wait(_POLL_S)
                # not before: what a child refuses is no welcome
                if not greeted and self._relays[0].serves() and self._recorder.serves():
                    greeted = True
                    ready()
        finally:
            self._end_all()
        if self._trouble is not None and not self._signals:
            raise self._trouble
        return self._failed

    def _first_start(self, embedded: EmbeddedPostgres) -> None:
        """Beside the main loop: `initdb` may take longer than a dead worker may wait."""
        before = embedded.usual_url()
        try:
            self.database_url = embedded.start()
        except WeirError as error:
            if before is not None and isinstance(error, NotStarting):
                self.database_url = before  # from now on it is one that died: tried again, while traffic is spooled
                return
            self._trouble = error
            self._stop.set()

    def _children(self) -> list[Child]:
        return [*self._relays, self._recorder] if self.database_url else self._relays

    def _environment(self) -> dict[str, str]:
        ours = environment(self._settings)
        ours["WEIR_DRAIN_TIMEOUT"] = f"{max(0.1, self._settings.drain_timeout - self._last_s)}s"
        # a variable that a flag has overruled must not reach them: they would take it where the flag said the default
        rest = {key: value for key, value in os.environ.items() if key not in _OURS}
        env = {**rest, **ours, "WEIR_DATABASE_URL": self.database_url}
        return {key: value for key, value in env.items() if value}

    def _look_after_all(self) -> None:
        for child in self._children():
            code = child.look_after(self._environment)
            if code == USAGE and not child.was_steady:
                self._failed = code
                self._stop.set()
        if self._hand_over.is_set():
            self._hand_over.clear()
            before = self._settings
            if self._read_settings() and not self._replace_workers():
                self._settings = before  # what no worker starts with is no use to one that has to be started again
        for child, until in list(self._retired):
            if time.monotonic() > until:
                child.kill()
            if not child.runs():
                self._retired.remove((child, until))
        if self._embedded is not None and self.database_url and time.monotonic() >= self._next_look:
            self._next_look = time.monotonic() + _LOOK_S
            self._look_after_postgres(self._embedded)

    def _look_after_postgres(self, embedded: EmbeddedPostgres) -> None:
        if embedded.is_alive() or (self._reviving is not None and self._reviving.is_alive()):
            return
        log.error("supervisor.postgres_down", hint="starting it; traffic is spooled meanwhile")
        self._reviving = threading.Thread(target=self._revive, args=(embedded,), name="revive", daemon=True)
        self._reviving.start()

    def _revive(self, embedded: EmbeddedPostgres) -> None:
        """Beside the main loop: recovery may take longer than a dead worker may wait."""
        try:
            url = embedded.start()
        except StoreError as error:
            self._patience_s = min(30.0, self._patience_s * 2)
            self._next_look = time.monotonic() + self._patience_s
            log.warning("supervisor.postgres_not_started", error=str(error), again_in_s=self._patience_s)
            return
        self._patience_s = _LOOK_S
        log.info("supervisor.postgres_started")
        if url != self.database_url:
            self.database_url = url
            self._recorder.terminate()  # started again at once, with the address

    def _read_settings(self) -> bool:
        """Take what the settings say now; False where they cannot be read, and nothing is to change."""
        try:
            found = self._again()
        except UsageError as error:
            log.error("supervisor.settings_refused", error=str(error), hint="everything goes on as it was")
            return False
        old = self._settings
        self._settings = dataclasses.replace(found, **{name: getattr(old, name) for name in _STAYS})
        if self._settings != old:
            log.info("supervisor.settings_read")
            self._recorder.terminate()  # started again at once; its port stays open here
        return True

    def _replace_workers(self) -> bool:
        """One after the other: a new worker serves, then the old one drains. False where one does not come to serve."""
        for at, old in enumerate(self._relays):
            new = old.successor()
            new.start(self._environment())
            if not new.wait_ready(_READY_WITHIN_S, self._stop):
                if not self._stop.is_set():
                    log.error("supervisor.hand_over_failed", child=new.name, hint="the old worker goes on as it was")
                new.kill()
                return False
            self._relays[at] = new
            old.terminate()
            self._retired.append((old, time.monotonic() + self._settings.drain_timeout))
            log.info("supervisor.handed_over", child=new.name)
        return True

    def _end_all(self) -> None:
        deadline = time.monotonic() + self._settings.drain_timeout
        for sock in self._sockets:
            sock.close()  # first: what connects from now on is refused, and not left in a queue that nobody serves
        self._end([*self._relays, *(child for child, _ in self._retired)], deadline - self._last_s + 0.5)
        self._end([self._recorder], deadline - self._last_s * 0.3)
        if self._reviving is not None:
            self._reviving.join(max(0.0, deadline - time.monotonic()))
        if self._embedded is not None:
            self._embedded.stop()

    def _end(self, children: list[Child], deadline: float) -> None:
        for child in children:
            child.terminate()
        while any(child.runs() for child in children) and time.monotonic() < deadline:
            time.sleep(0.01)
        for child in children:
            if child.runs():
                log.warning("supervisor.killed", child=child.name, hint="it did not end in time; its spool is safe")
            child.kill()

    def _on_signal(self, *_: object) -> None:
        self._signals += 1
        self._stop.set()
        if self._signals > 1:
            self._failed = _AT_ONCE
            for child in (*self._relays, self._recorder, *(child for child, _ in self._retired)):
                with contextlib.suppress(OSError):
                    child.kill(wait=False)


def _names(workers: int) -> list[str]:
    return ["relay"] if workers == 1 else [f"relay-{number + 1}" for number in range(workers)]


def _recorder_command(admin: socket.socket | None, after: int) -> tuple[list[str], tuple[int, ...]]:
    command = ["recorder", "--after-fd", str(after)]
    if admin is None:
        return command, (after,)
    return [*command, "--admin-fd", str(admin.fileno())], (after, admin.fileno())
