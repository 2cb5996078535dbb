"""What a worker says of its troubles in the log: as one begins, once a minute while it lasts, and when it is over."""

import time
from collections.abc import Callable

from mcp_weir import log
from mcp_weir.relay.settings import RelayStats
from mcp_weir.spool.late import LateWriter
from mcp_weir.spool.writer import SpoolWriter

Spool = SpoolWriter | LateWriter
_AGAIN_S = 60.0


class Telling:
    """Ask it each second."""

    def __init__(self, stats: Callable[[], RelayStats], writer: Spool) -> None:
        self._writer = writer
        self._counts: dict[str, tuple[Callable[[], int], str]] = {
            "relay.turned_away": (
                lambda: stats().turned_away,
                "clients got 503: more connections than --max-connections; raise it, or --workers"),
            "relay.observer_failed": (
                lambda: stats().observer_errors,
                "a defect of ours: traffic goes on, what could not be read is not recorded; please report it"),
            "spool.sync_failed": (
                lambda: writer.sync_failures, "the disk did not keep what was written; look at it"),
        }
        self._told: dict[str, int] = {}
        self._next: dict[str, float] = {}
        self._is_blocked = False

    def look(self) -> None:
        """Say what is new."""
        for event, (count, hint) in self._counts.items():
            n = count()
            if n > self._told.get(event, 0) and self._is_time(event):
                log.error(event, times=n - self._told.get(event, 0), hint=hint)
                self._told[event] = n
        trouble = self._writer.trouble
        if trouble is not None:
            if self._is_time("spool.blocked"):
                self._is_blocked = True
                log.error("spool.blocked", why=trouble, hint="traffic is forwarded and not recorded, and counted")
        elif self._is_blocked:
            self._is_blocked = False
            log.info("spool.unblocked", hint="traffic is recorded again")

    def _is_time(self, event: str) -> bool:
        now = time.monotonic()
        if now < self._next.get(event, 0.0):
            return False
        self._next[event] = now + _AGAIN_S
        return True
