"""The writing side of the spool: one stream of segments per worker life. Never raises into the relay."""

import errno
import fcntl
import os
import time
import uuid
from pathlib import Path

import msgspec

from mcp_weir.errors import SpoolError
from mcp_weir.spool.counters import Counters
from mcp_weir.spool.segment import COUNTS, FORMAT, SUFFIX, SegmentHeader, seal
from mcp_weir.traffic.facts import Closed, Heartbeat, Line

MIB = 1 << 20
_CHECK_EVERY_S = 1.0
_CHECK_EVERY_BYTES = 4 * MIB


class SpoolWriter:
    """Appends lines with one write(2) each. Not thread-safe; one per worker process."""

    def __init__(
        self,
        root: Path,
        *,
        service: str,
        instance: str,
        key_id: str,
        segment_bytes: int = 16 * MIB,
        segment_age_s: float = 60,
        spool_max: int = 8 << 30,
        keep_free: int = 512 * MIB,
    ) -> None:
        self.stream = uuid.uuid4()
        self._root, self._dir = root, root / str(self.stream)
        self._names = (service, instance, key_id)
        self._limits = (segment_bytes, segment_age_s, spool_max, keep_free)
        self._encode = msgspec.json.Encoder().encode
        self._fd, self._number, self._size, self._born = -1, 0, 0, 0.0
        self._blocked: str | None = None
        self._next_check, self._unchecked = 0.0, 0
        try:
            self._dir.mkdir(parents=True, mode=0o700)
            self._counters = Counters(self._dir / COUNTS)
            self._rotate()
        except OSError as error:
            why = f"cannot write the spool in {root}: {error.strerror}; check its owner and space"
            raise SpoolError(why) from error

    def seen(self, minute: int) -> None:
        """Count an exchange on an MCP path at its opening."""
        self._counters.seen(minute)

    def offer(self, line: Line, minute: int) -> bool:
        """Append one line; False when it was dropped (and, if it closed its exchange, counted)."""
        closes = isinstance(line[-1], Closed)
        reason = self._append(line)
        if closes:
            if reason is None:
                self._counters.spooled(minute)
            else:
                self._counters.dropped(minute, reason)
        return reason is None

    def heartbeat(self, wall_us: int, next_exchange: int = 0) -> None:
        """Say that the stream lives; also the time to rotate an old segment."""
        self._append([Heartbeat(exchange=next_exchange, wall_us=wall_us)])
        if time.monotonic() - self._born > self._limits[1]:
            self._try_rotate()

    def close(self) -> None:
        """Release the lock: the recorder then knows that no more will come."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._counters.close()

    def _append(self, line: Line) -> str | None:
        try:
            self._check_space()
            if self._blocked is not None:
                return self._blocked
            data = seal(self._encode(line))
            written = os.write(self._fd, data)
        except OSError as error:
            self._cut_back()
            return "disk_full" if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) else "error"
        except Exception:  # a fact that cannot be encoded must not fail a request
            return "error"
        if written != len(data):
            self._cut_back()
            return "disk_full"
        self._size += written
        self._unchecked += written
        if self._size >= self._limits[0]:
            self._try_rotate()
        return None

    def _cut_back(self) -> None:
        """A short write leaves half a line: back to the last whole one."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._try_rotate()

    def _check_space(self) -> None:
        now = time.monotonic()
        if now < self._next_check and self._unchecked < _CHECK_EVERY_BYTES:
            return
        self._next_check, self._unchecked = now + _CHECK_EVERY_S, 0
        stat = os.statvfs(self._dir)
        if stat.f_bavail * stat.f_frsize < min(self._limits[3], stat.f_blocks * stat.f_frsize // 4):
            self._blocked = "disk_full"
        elif sum(path.stat().st_size for path in self._root.glob(f"*/*{SUFFIX}")) > self._limits[2]:
            self._blocked = "spool_full"
        else:
            self._blocked = None

    def _try_rotate(self) -> None:
        try:
            self._rotate()
        except OSError:
            self._born = time.monotonic()  # keep the old segment; try again later

    def _rotate(self) -> None:
        number = self._number + 1
        service, instance, key_id = self._names
        header = SegmentHeader(
            format=FORMAT, segment=uuid.uuid4(), stream=self.stream, number=number, service=service,
            instance=instance, key_id=key_id, host_boot=_host_boot(), started_us=time.time_ns() // 1000,
        )
        first = seal(self._encode(header))
        hidden = self._dir / f"{number:08d}.new"
        handle = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(handle, first) != len(first):
                raise OSError(errno.ENOSPC, "no space for a segment header")
            os.rename(hidden, self._dir / f"{number:08d}{SUFFIX}")
        except OSError:
            os.close(handle)
            raise
        old, self._fd = self._fd, handle
        self._number, self._size, self._born = number, len(first), time.monotonic()
        if old >= 0:
            os.close(old)  # only now: the stream holds a lock at every moment of its life


def _host_boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
