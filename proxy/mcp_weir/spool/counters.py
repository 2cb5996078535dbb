"""Exact counters per minute in a mapped page: true with a full disk and after kill -9.

A ring of 1,024 minutes; a slot is (minute, seen, spooled, dropped by each reason), 64-bit little-endian.
"""

import dataclasses
import mmap
import struct
from pathlib import Path

REASONS = ("disk_full", "spool_full", "error")
_SLOTS = 1024
_SLOT = struct.Struct("<6q")
_FIELD = struct.Struct("<q")
SIZE = _SLOTS * _SLOT.size


@dataclasses.dataclass(frozen=True, slots=True)
class MinuteCounts:
    """One minute of one worker's life, in exchanges."""

    seen: int
    spooled: int
    dropped: dict[str, int]


class Counters:
    """The writing side. One process, one thread."""

    def __init__(self, path: Path) -> None:
        with path.open("w+b") as file:
            file.write(bytes(SIZE))  # written, not truncated to: a full disk fails here and not in a store to the map
            file.flush()
            self._page = mmap.mmap(file.fileno(), SIZE)

    def seen(self, minute: int) -> None:
        """One exchange opened in this Unix minute."""
        self._add(minute, 1)

    def spooled(self, minute: int) -> None:
        """One exchange is whole in the spool."""
        self._add(minute, 2)

    def dropped(self, minute: int, reason: str) -> None:
        """One exchange was lost, for one of REASONS."""
        self._add(minute, 3 + REASONS.index(reason))

    def close(self) -> None:
        """Unmap."""
        self._page.close()

    def _add(self, minute: int, field: int) -> None:
        base = (minute % _SLOTS) * _SLOT.size
        if _FIELD.unpack_from(self._page, base)[0] != minute:
            _SLOT.pack_into(self._page, base, minute, 0, 0, 0, 0, 0)
        at = base + field * 8
        _FIELD.pack_into(self._page, at, _FIELD.unpack_from(self._page, at)[0] + 1)


def read_counts(path: Path) -> dict[int, MinuteCounts]:
    """Unix minute -> counts; empty when there is no page."""
    try:
        page = path.read_bytes()
    except FileNotFoundError:
        return {}
    found = {}
    for minute, seen, spooled, *dropped in _SLOT.iter_unpack(page[:SIZE]):
        if minute:
            lost = {reason: n for reason, n in zip(REASONS, dropped, strict=True) if n}
            found[minute] = MinuteCounts(seen, spooled, lost)
    return found
