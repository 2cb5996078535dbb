"""fdatasync on a thread of its own: the loop that serves requests never waits for a disk.

Everything written is on disk about 20 ms later; `--durability power` lets an answer wait for it (group commit).
"""

import asyncio
import contextlib
import os
import threading
from collections.abc import Awaitable
from pathlib import Path

EVERY_S = 0.015


class Syncer:
    """Syncs what one writer wrote. Every method is called by the writer's thread."""

    def __init__(self, every_s: float = EVERY_S) -> None:
        self.failures = 0  # syncs that failed; a file they failed on is not to be trusted again
        self.distrusted = -1  # descriptor of the file that the last one failed on
        self._every_s = every_s
        self._fd = -1
        self._written = self._synced = 0
        self._retired: list[int] = []
        self._new_names: list[Path] = []
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._lock = threading.Lock()
        self._wake, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="spool-sync", daemon=True)
        self._thread.start()

    def follow(self, fd: int, folder: Path) -> None:
        """A new file, whose name is to be synced too. The one before is synced once more and closed here."""
        with self._lock:
            if self._fd >= 0:
                self._retired.append(self._fd)
            self._new_names.append(folder)
            self._fd = fd
        self.wrote()

    def named(self, *folders: Path) -> None:
        """Names were made in these folders: to be on disk with the next sync."""
        with self._lock:
            self._new_names += folders

    def wrote(self) -> None:
        """Something was written to the file followed."""
        self._written += 1
        if not self._wake.is_set():
            self._wake.set()

    def synced(self) -> Awaitable[None]:
        """Resolves when everything written so far is on disk (or its sync has failed: that is counted, not raised)."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        if self._synced >= self._written:
            future.set_result(None)
        else:
            with self._lock:
                self._waiting.append((self._written, future))
            self._wake.set()
        return future

    def close(self) -> None:
        """Sync a last time, close every file."""
        self._stop.set()
        self._wake.set()
        self._thread.join(10)  # a disk that hangs must not hang the shutdown

    def _run(self) -> None:
        while not self._stop.is_set():
            self._wake.wait()
            self._wake.clear()
            self._once()
            if self._every_s:
                self._stop.wait(self._every_s)
        self._once()
        if self._fd >= 0:
            os.close(self._fd)  # releases the segment's lock

    def _once(self) -> None:
        with self._lock:
            target, current = self._written, self._fd
            retired, self._retired = self._retired, []
            names, self._new_names = self._new_names, []
        for fd in (*retired, current):
            self._sync(fd)
        for folder in names:
            _sync_folder(folder)
        for fd in retired:
            with contextlib.suppress(OSError):  # a file system that says so late; nobody may wait for a dead thread
                os.close(fd)
        with self._lock:
            self._synced = target
            due = [future for position, future in self._waiting if position <= target]
            self._waiting = [entry for entry in self._waiting if entry[0] > target]
        for future in due:
            with contextlib.suppress(RuntimeError):  # its loop has ended
                future.get_loop().call_soon_threadsafe(_resolve, future)

    def _sync(self, fd: int) -> None:
        if fd < 0:
            return
        try:
            os.fdatasync(fd)
        except OSError:
            self.failures += 1
            self.distrusted = fd


def _resolve(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
