"""Exact counters per minute in mapped pages: true with a full disk and after kill -9.

A page covers 1,024 minutes and is never reused: an outage may last for months and no count is overwritten. A page
begins with a JSON line that names its service and instance; then a slot per minute of eight 64-bit cells: seen,
spooled, dropped by each of REASONS.
"""

import dataclasses
import errno
import json
import mmap
import os
import struct
import sys
import time
from pathlib import Path

REASONS = ("disk_full", "spool_full", "error", "observer")
PREFIX = "counts-"
_FORMAT = 2
_SLOTS = 1024
_CELLS = 8
_HEADER = 4096
_SLOT = struct.Struct(f"={_CELLS}q")
_SIZE = _HEADER + _SLOTS * _SLOT.size
_MAPPED_MAX = 4  # pages kept mapped: an exchange may end long after the minute in which it opened


@dataclasses.dataclass(frozen=True, slots=True)
class MinuteCounts:
    """One minute of one worker's life, in exchanges. `spooled` and `dropped` are of those that ended."""

    seen: int
    spooled: int
    dropped: dict[str, int]


class Counters:
    """The writing side. One process, one thread."""

    def __init__(self, folder: Path, service: str, instance: str) -> None:
        self._folder = folder
        said = {"format": _FORMAT, "service": service, "instance": instance, "byteorder": sys.byteorder}
        self._head = json.dumps(said).encode().ljust(_HEADER - 1) + b"\n"
        self._pages: dict[int, tuple[mmap.mmap, memoryview]] = {}
        self._last = int(time.time()) // 60
        self._pages[self._last // _SLOTS] = self._map(self._last // _SLOTS)
        self._minute, self._at, self._cells = -1, 0, self._pages[self._last // _SLOTS][1]  # of the last count

    def seen(self, minute: int, n: int = 1) -> None:
        """One exchange (or `n`) opened in this Unix minute."""
        self._add(minute, 0, n)

    def spooled(self, minute: int) -> None:
        """One exchange is whole in the spool."""
        self._add(minute, 1)

    def dropped(self, minute: int, reason: str, n: int = 1) -> None:
        """One exchange (or `n`) was lost, for one of REASONS."""
        self._add(minute, 2 + REASONS.index(reason), n)

    def prepare(self, minute: int) -> None:
        """Make the next page while there is still space for it."""
        following = minute // _SLOTS + 1
        if minute % _SLOTS > _SLOTS // 2 and following not in self._pages:
            self._page(following)

    def close(self) -> None:
        """Unmap."""
        for block in list(self._pages):
            self._unmap(block)

    def _add(self, minute: int, cell: int, n: int = 1) -> None:
        if minute == self._minute:  # nearly always: the place of its cells need not be found again
            self._cells[self._at + cell] += n
            return
        page = self._pages.get(minute // _SLOTS) or self._page(minute // _SLOTS)
        if page is None:  # no space for this minute's page: true in sum, late or early by the clock
            minute = self._last
            page = self._pages[minute // _SLOTS]
        self._last = self._minute = minute
        self._cells, self._at = page[1], (minute % _SLOTS) * _CELLS
        self._cells[self._at + cell] += n

    def _page(self, block: int) -> tuple[mmap.mmap, memoryview] | None:
        try:
            page = self._map(block)
        except OSError:
            return None
        keep = (block, self._last // _SLOTS)
        while len(self._pages) >= _MAPPED_MAX:
            self._unmap(next(b for b in self._pages if b not in keep))
        self._pages[block] = page
        return page

    def _map(self, block: int) -> tuple[mmap.mmap, memoryview]:
        path = self._folder / f"{PREFIX}{block}"
        if not path.exists():
            hidden = self._folder / f"{PREFIX}{block}.new"
            try:
                # written, not truncated to: a full disk fails here and not in a store to the map
                hidden.write_bytes(self._head + bytes(_SIZE - _HEADER))
                os.rename(hidden, path)
            except OSError:
                hidden.unlink(missing_ok=True)
                raise
        with path.open("r+b") as file:
            page = mmap.mmap(file.fileno(), _SIZE)
        return page, memoryview(page)[_HEADER:].cast("q")

    def _unmap(self, block: int) -> None:
        page, cells = self._pages.pop(block)
        if cells is self._cells:
            self._minute = -1
        cells.release()
        page.close()


class CountsReader:
    """The reading side of one stream's pages: what has changed since it was last asked."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._read: dict[Path, bytes] = {}
        self.names: tuple[str, str] | None = None  # service, instance; None while there is no readable page

    def changed(self, *, everything: bool = False) -> dict[int, MinuteCounts]:
        """Unix minute -> counts. Only the two newest pages are looked at, unless `everything` is asked for."""
        paths = sorted(pages(self._folder), key=lambda path: int(path.name[len(PREFIX):]))
        found: dict[int, MinuteCounts] = {}
        for path in paths if everything or not self._read else paths[-2:]:
            data = _bytes(path)
            if data is None or data == self._read.get(path):
                continue
            said = _names(data)
            if said is None:
                continue
            self.names = said
            found.update(_differences(path, self._read.get(path, b""), data))
            self._read[path] = data
        return found


def pages(folder: Path) -> list[Path]:
    """The files of a stream's pages."""
    return [path for path in folder.glob(f"{PREFIX}*") if path.name[len(PREFIX):].isdigit()]


def read_counts(folder: Path) -> dict[int, MinuteCounts]:
    """Unix minute -> counts of one stream's folder; empty when there is no page."""
    return CountsReader(folder).changed(everything=True)


def why_unread(path: Path) -> str | None:
    """Why the counts of this page are not taken; None when they are."""
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_HEADER))
        if said["format"] != _FORMAT:
            return f"counts of format {said['format']}; this mcp-weir reads {_FORMAT}: start the one that wrote them"
        return None if said["byteorder"] == sys.byteorder else "counts of a machine with another byte order"
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        return f"unreadable counts: {type(error).__name__}"


def _bytes(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):  # the page is well: to be asked again, before it is buried
            raise
        return None


def _names(data: bytes) -> tuple[str, str] | None:
    try:
        said = json.loads(data[:_HEADER])
        if said["format"] != _FORMAT or said["byteorder"] != sys.byteorder:
            return None
        return str(said["service"]), str(said["instance"])
    except (ValueError, KeyError, TypeError):
        return None


def _differences(path: Path, old: bytes, new: bytes) -> dict[int, MinuteCounts]:
    first = int(path.name[len(PREFIX):]) * _SLOTS
    found = {}
    for slot in range((len(new) - _HEADER) // _SLOT.size):
        at = _HEADER + slot * _SLOT.size
        cells = new[at:at + _SLOT.size]
        if cells != old[at:at + _SLOT.size] and any(cells):
            seen, spooled, *dropped = _SLOT.unpack(cells)
            lost = {reason: n for reason, n in zip(REASONS, dropped, strict=False) if n}
            found[first + slot] = MinuteCounts(seen, spooled, lost)
    return found
