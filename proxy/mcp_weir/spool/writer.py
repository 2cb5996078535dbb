"""The writing side of the spool: one stream of segments per worker life. Never raises into the relay.

An exchange of which a line was lost is lost as a whole: it is counted once, under the reason of its first loss, and
what of it had been spooled is ended by a marker, so that the recorder does not wait for it.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import time
import uuid
from collections.abc import Awaitable
from pathlib import Path

import msgspec

from mcp_weir.errors import SpoolError
from mcp_weir.spool.budget import MIB, Budget
from mcp_weir.spool.counters import Counters
from mcp_weir.spool.segment import FORMAT, SUFFIX, SegmentHeader, asked_to_rotate, seal
from mcp_weir.spool.sync import EVERY_S, Syncer
from mcp_weir.traffic.facts import Closed, Heartbeat, Line, Opened

DROPPED = "dropped"  # the flag of a marker: this exchange was lost, and is counted under its reason
_SMALL = 256 * 1024  # a segment below this is not worth rotating for its age
_MARKERS_MAX = 10_000
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_TROUBLES = {
    "disk_full": "less of the disk is free than --keep-free asks for; make room",
    "spool_full": "the spool holds --spool-max; is the database away?",
}


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
        durability: str = "process",
    ) -> None:
        self.stream = uuid.uuid4()
        self._root, self._dir = root, root / str(self.stream)
        self._asked = asked_to_rotate(root)
        self._names = (service, instance, key_id)
        self._age_s = segment_age_s
        self._encode = msgspec.json.Encoder().encode
        self._fd, self._spare, self._number, self._size, self._born = -1, -1, 0, 0, 0.0
        self._torn = False  # half a line stands at the end of this file and could not be cut off
        self._broken: dict[int, tuple[str, bool]] = {}  # exchange -> reason of its first loss, anything of it spooled
        self._markers: list[Closed] = []
        with contextlib.ExitStack() as undo:  # whoever tries again makes a folder anew: nothing is left of this one
            try:
                undo.callback(shutil.rmtree, self._dir, ignore_errors=True)
                self._dir.mkdir(parents=True, mode=0o700)
                self._budget = Budget(root, spool_max, keep_free)
                self._segment_bytes = min(segment_bytes, max(self._budget.disk_bytes // 16, 64 * 1024))
                self._counters = Counters(self._dir, service, instance)
                undo.callback(self._counters.close)
                self._sync = Syncer(0 if durability == "power" else EVERY_S)
                undo.callback(self._sync.close)
                self._sync.named(root.parent, root)  # a stream whose folder a power cut takes is lost whole
                self._rotate()
            except OSError as error:
                why = f"cannot write the spool in {root}: {error.strerror}; check its owner and space"
                raise SpoolError(why) from error
            undo.pop_all()

    @property
    def sync_failures(self) -> int:
        """How often the disk refused to keep what was written."""
        return self._sync.failures

    @property
    def trouble(self) -> str | None:
        """Why nothing can be recorded just now; None where all is well."""
        if self._budget.blocked is not None:
            return _TROUBLES[self._budget.blocked]
        return "the disk refuses what is written; look at it" if self._torn else None

    def seen(self, minute: int) -> None:
        """Count an exchange on an MCP path at its opening (Unix minute)."""
        self._counters.seen(minute)

    def lost(self, minute: int) -> None:
        """Count an exchange that was seen and will never be closed by a fact: its observer failed."""
        self._counters.dropped(minute, "observer")

    def missed(self, minute: int, reason: str | None, n: int) -> None:
        """Count what passed before this writer could be made: seen (None), or dropped for a reason."""
        if reason is None:
            self._counters.seen(minute, n)
        else:
            self._counters.dropped(minute, reason, n)

    def offer(self, line: Line, minute: int) -> bool:
        """Append the facts of one exchange; False when they were dropped. Its Closed fact is what counts it."""
        exchange = line[0].exchange
        broken = self._broken.get(exchange) if self._broken else None
        reason = self._append([line]) if broken is None else broken[0]
        if reason is not None and broken is None:
            broken = self._broken[exchange] = (reason, not isinstance(line[0], Opened))
        last = line[-1]
        if isinstance(last, Closed):
            if reason is None:
                self._counters.spooled(minute)
            else:
                self._counters.dropped(minute, reason)
                self._forget(last)
        return reason is None

    def offer_all(self, lines: list[tuple[Line, int]]) -> None:
        """Append the facts of exchanges, each with its minute, by one write: all of them, or each as it can."""
        if self._broken or self._append([line for line, _ in lines]) is not None:
            for line, minute in lines:
                self.offer(line, minute)
            return
        for line, minute in lines:
            if isinstance(line[-1], Closed):
                self._counters.spooled(minute)

    def synced(self) -> Awaitable[None]:
        """Resolves when everything offered so far is on disk: what an answer waits for under --durability power."""
        return self._sync.synced()

    def heartbeat(self, wall_us: int, next_exchange: int = 0) -> None:
        """Say that the stream lives; also the time for what may wait: markers, an old segment, the next page."""
        self._append([[Heartbeat(exchange=next_exchange, wall_us=wall_us)]])
        while self._markers and self._append([[self._markers[-1]]]) is None:
            self._markers.pop()
        self._counters.prepare(wall_us // 60_000_000)
        age = time.monotonic() - self._born
        asked = asked_to_rotate(self._root)
        if asked != self._asked or (age > self._age_s and (self._size > _SMALL or age > 60 * self._age_s)):
            self._asked = asked
            self._try_rotate()
        if self._spare < 0:
            self._prepare_spare()

    def close(self) -> None:
        """Sync, then release the lock: the recorder then knows that no more will come."""
        self._fd = -1
        self._sync.close()
        if self._spare >= 0:
            os.close(self._spare)
            self._spare_path().unlink(missing_ok=True)
        self._counters.close()

    def _append(self, lines: list[Line]) -> str | None:
        try:
            if self._budget.due():
                self._check()
            if self._budget.blocked is not None:
                return self._budget.blocked
            if self._torn or self._sync.distrusted == self._fd:
                self._rotate()  # never append to a file that failed; raises while there is no other
            sealed = [seal(self._encode(line)) for line in lines]
            data = sealed[0] if len(sealed) == 1 else b"".join(sealed)
            written = os.write(self._fd, data)
        except OSError as error:
            return self._failed(error)
        except Exception:  # a fact that cannot be encoded must not fail a request
            return "error"
        if written != len(data):
            self._cut_back()
            return "disk_full"
        self._size += written
        self._budget.spend(written)
        self._sync.wrote()
        if self._size >= self._segment_bytes:
            self._try_rotate()
        return None

    def _failed(self, error: OSError) -> str:
        if error.errno in NO_SPACE:
            self._cut_back()
            return "disk_full"
        self._torn = True
        return "error"

    def _cut_back(self) -> None:
        """A short write leaves half a line: back to the last whole one."""
        try:
            os.ftruncate(self._fd, self._size)
        except OSError:
            self._torn = True

    def _check(self) -> None:
        self._budget.check()
        if self._budget.blocked is not None and self._size > 4096:
            self._try_rotate()  # only a finished segment can be unlinked once it is drained

    def _forget(self, closed: Closed) -> None:
        _, spooled = self._broken.pop(closed.exchange)
        if spooled:
            marker = Closed(exchange=closed.exchange, at_us=closed.at_us, closed_by="drain", status=closed.status,
                            flags=(DROPPED,))
            self._markers.append(marker)
            del self._markers[:-_MARKERS_MAX]

    def _try_rotate(self) -> None:
        try:
            self._rotate()
        except OSError:
            self._born = time.monotonic()  # keep the old segment; try again later

    def _rotate(self) -> None:
        if self._spare < 0:
            self._make_spare()
        hidden = self._spare_path()
        os.rename(hidden, hidden.with_suffix(SUFFIX))
        self._fd, self._spare = self._spare, -1
        self._number += 1
        self._size, self._born, self._torn = os.fstat(self._fd).st_size, time.monotonic(), False
        self._sync.follow(self._fd, self._dir)  # closes the old file: the stream holds a lock at every moment

    def _prepare_spare(self) -> None:
        """The next segment stands ready, header and lock and all: a rotation then needs no space."""
        try:
            self._make_spare()
        except OSError:
            return

    def _make_spare(self) -> None:
        service, instance, key_id = self._names
        header = SegmentHeader(
            format=FORMAT, segment=uuid.uuid4(), stream=self.stream, number=self._number + 1, service=service,
            instance=instance, key_id=key_id, host_boot=_host_boot(), started_us=time.time_ns() // 1000,
        )
        first = seal(self._encode(header))
        flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
        handle = os.open(self._spare_path(), flags, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.write(handle, first) != len(first):
                raise OSError(errno.ENOSPC, "no space for a segment header")
        except OSError:
            os.close(handle)
            self._spare_path().unlink(missing_ok=True)
            raise
        self._spare = handle

    def _spare_path(self) -> Path:
        return self._dir / f"{self._number + 1:08d}.new"


def _host_boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"
