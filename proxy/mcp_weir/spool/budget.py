"""How much the spool may hold: a share of the disk is left free, so that Postgres can still commit."""

import contextlib
import os
import time
from pathlib import Path

from mcp_weir.spool.segment import SUFFIX

MIB = 1 << 20
_CHECK_EVERY_S = 1.0
_CHECK_EVERY_BYTES = 4 * MIB
_SUM_MAX_S = 30.0
_FASTEST = 64 * MIB  # bytes a second that all writers together are taken to write at most


class Budget:
    """`blocked` is None, or why nothing may be written now (a drop reason)."""

    def __init__(self, root: Path, spool_max: int, keep_free: int) -> None:
        self.blocked: str | None = None
        self._root, self._spool_max = root, spool_max
        stat = os.statvfs(root)
        self.disk_bytes = stat.f_blocks * stat.f_frsize
        self._keep_free = min(keep_free, self.disk_bytes // 4)  # a tiny file system: a sensible share of it
        self._next_check = self._next_sum = 0.0
        self._unchecked = self._held = 0

    def spend(self, size: int) -> None:
        """So many bytes were written."""
        self._unchecked += size

    def due(self) -> bool:
        """A second or 4 MiB have passed since the last check()."""
        return self._unchecked >= _CHECK_EVERY_BYTES or time.monotonic() >= self._next_check

    def check(self) -> None:
        """Look at the disk. All segments are summed only as often as the headroom makes it necessary.

        Where it cannot be looked at (no descriptor is left for a folder), what was last seen holds: the segment that
        is written to is open, and nothing is lost by a look that failed.
        """
        now = time.monotonic()
        self._next_check, self._held, self._unchecked = now + _CHECK_EVERY_S, self._held + self._unchecked, 0
        with contextlib.suppress(OSError):
            self._look(now)

    def _look(self, now: float) -> None:
        stat = os.statvfs(self._root)
        if stat.f_bavail * stat.f_frsize < self._keep_free:
            self.blocked = "disk_full"
            return
        if now >= self._next_sum or self._held > self._spool_max:
            self._held = held_bytes(self._root)
            headroom = (self._spool_max - self._held) / _FASTEST
            self._next_sum = now + min(max(headroom, _CHECK_EVERY_S), _SUM_MAX_S)
        self.blocked = "spool_full" if self._held > self._spool_max else None


def held_bytes(root: Path) -> int:
    """Bytes in all segments of all streams."""
    total = 0
    for stream in _folders(root):
        try:
            with os.scandir(stream) as entries:
                total += sum(entry.stat().st_size for entry in entries if entry.name.endswith(SUFFIX))
        except OSError:  # drained and removed while we looked
            continue
    return total


def _folders(root: Path) -> list[str]:
    with os.scandir(root) as entries:
        return [entry.path for entry in entries if entry.is_dir()]
