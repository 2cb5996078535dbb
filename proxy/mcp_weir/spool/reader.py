"""The reading side of the spool: segments, whole lines, and whether more may come."""

import dataclasses
import fcntl
import uuid
from pathlib import Path

import msgspec

from mcp_weir.spool.segment import COUNTS, FORMAT, SUFFIX, SegmentHeader, unseal
from mcp_weir.traffic.facts import Fact, Line

_HEADER_MAX = 64 * 1024
_lines = msgspec.json.Decoder(list[Fact])
_headers: dict[Path, SegmentHeader] = {}


@dataclasses.dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines read; `end_offset` is the position to commit. `torn` is a dead writer's last half line, in bytes."""

    lines: list[tuple[int, Line]]
    end_offset: int
    torn: int
    damaged: list[tuple[int, bytes]]


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """One segment file."""

    path: Path
    header: SegmentHeader

    def is_final(self) -> bool:
        """The lock is free: no more will be written. Ask before reading, else a last line can slip by."""
        return not _locked(self.path)

    def read(self, offset: int, limit_bytes: int) -> Chunk:
        """Whole lines from `offset` (0: the beginning), about `limit_bytes` of them, at least one if there is one."""
        with self.path.open("rb") as file:
            file.seek(offset)
            data = file.read(limit_bytes)
            if data and b"\n" not in data:
                data += file.readline()
        lines: list[tuple[int, Line]] = []
        damaged: list[tuple[int, bytes]] = []
        position, start = offset, 0
        while (end := data.find(b"\n", start)) >= 0:
            payload = unseal(data[start:end])
            if position > 0:
                _decode(payload, data[start:end], position, lines, damaged)
            start = end + 1
            position = offset + start
        return Chunk(lines, position, len(data) - start, damaged)

    def unlink(self) -> None:
        """Acknowledged: needs no space."""
        self.path.unlink(missing_ok=True)
        _headers.pop(self.path, None)


def scan(root: Path) -> list[Segment]:
    """Every readable segment beneath `root`, in order of stream and number."""
    found = []
    for path in sorted(root.glob(f"*/*{SUFFIX}")):
        header = _headers.get(path) or _read_header(path)
        if header is not None:
            _headers[path] = header
            found.append(Segment(path, header))
    return found


def stream_is_live(root: Path, stream: uuid.UUID) -> bool:
    """A writer still holds one of the stream's segments."""
    return any(_locked(path) for path in (root / str(stream)).glob(f"*{SUFFIX}"))


def remove_stream(root: Path, stream: uuid.UUID) -> None:
    """Remove a dead, drained stream's folder. Leaves it while a segment is in it."""
    folder = root / str(stream)
    if any(folder.glob(f"*{SUFFIX}")):
        return
    for leftover in (folder / COUNTS, *folder.glob("*.new")):
        leftover.unlink(missing_ok=True)
    if folder.is_dir():
        folder.rmdir()


def _decode(
    payload: bytes | None, raw: bytes, position: int, lines: list[tuple[int, Line]], damaged: list[tuple[int, bytes]]
) -> None:
    if payload is None:
        damaged.append((position, raw))
        return
    try:
        lines.append((position, _lines.decode(payload)))
    except msgspec.DecodeError:
        damaged.append((position, raw))


def _read_header(path: Path) -> SegmentHeader | None:
    try:
        with path.open("rb") as file:
            payload = unseal(file.readline(_HEADER_MAX).rstrip(b"\n"))
        header = msgspec.json.decode(payload, type=SegmentHeader) if payload else None
    except (OSError, msgspec.DecodeError):
        return None
    return header if header is not None and header.format == FORMAT else None


def _locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except BlockingIOError:
        return True
    except FileNotFoundError:
        return False
