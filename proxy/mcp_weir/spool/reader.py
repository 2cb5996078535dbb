"""The reading side of the spool: streams, segments, whole lines, and whether more may come."""

import dataclasses
import fcntl
import os
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec

from mcp_weir.spool.counters import pages, why_unread
from mcp_weir.spool.segment import FORMAT, SUFFIX, SegmentHeader, seal, unseal
from mcp_weir.traffic.facts import Fact, Line

_HEADER_MAX = 64 * 1024
Take = Callable[[bytes], bool]  # a payload, taken or left
decode: Callable[[bytes], Line] = msgspec.json.Decoder(list[Fact]).decode


class _Head(msgspec.Struct):
    """What a header of any format says."""

    format: int


@dataclasses.dataclass(frozen=True, slots=True)
class Chunk:
    """Whole lines read; `end_offset` is the position to commit. `torn` is a dead writer's last half line, in bytes."""

    lines: list[tuple[int, Line]]
    end_offset: int
    torn: int
    damaged: list[tuple[int, bytes]]
    taken: int = 0  # lines that `take` took

    def __len__(self) -> int:
        return len(self.lines) + len(self.damaged) + self.taken


@dataclasses.dataclass(frozen=True, slots=True)
class Segment:
    """One segment file."""

    path: Path
    header: SegmentHeader

    def size(self) -> int:
        """Bytes written so far; 0 when it is gone."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def is_final(self) -> bool:
        """The lock is free: no more will be written. Ask before reading, else a last line can slip by."""
        return not _locked(self.path)

    def read(self, offset: int, limit_bytes: int, limit_lines: int = 1 << 30, take: Take | None = None) -> Chunk:
        """Whole lines from `offset` (0: the beginning), about `limit_bytes` of them, at least one if there is one.

        Each goes to `take` first, undecoded; what that leaves is among the lines.
        """
        with self.path.open("rb") as file:
            file.seek(offset)
            data = file.read(limit_bytes)
            if data and b"\n" not in data:
                data += file.readline()
        return _lines(data, offset, limit_lines, take)


class Index:
    """What lies in a spool directory: readable segments by stream, and what is nothing of ours (reported, kept)."""

    def __init__(self, root: Path) -> None:
        self.streams: dict[uuid.UUID, list[Segment]] = {}
        self.strange: dict[Path, str] = {}  # what cannot be read, and why
        self.empty: list[Path] = []  # folders of dead streams without a segment
        self._root = root
        self._headers: dict[Path, SegmentHeader] = {}
        self._pages: dict[Path, str | None] = {}  # why the counts there are not read

    def refresh(self) -> None:
        """Look again."""
        self.streams, self.strange, self.empty = {}, {}, []
        for folder in sorted(path for path in self._root.iterdir() if path.is_dir()):
            try:
                stream = uuid.UUID(folder.name)
            except ValueError:
                self.strange[folder] = "no stream of ours"
                continue
            self.look_at(stream)
        self._headers = {path: head for path, head in self._headers.items() if path.exists()}
        self._pages = {path: why for path, why in self._pages.items() if path.exists()}

    def look_at(self, stream: uuid.UUID) -> list[Segment]:
        """The readable segments of one stream, in order, as they are now."""
        folder = self._root / str(stream)
        found = []
        try:
            names = sorted(name for name in _names(folder) if name.endswith(SUFFIX))
        except OSError as error:
            self.strange[folder] = f"unreadable: {error.strerror}"
            return []
        for path in (folder / name for name in names):
            try:
                header = self._headers.get(path) or self._read_header(path)
            except OSError as error:  # what comes after it may speak of what is in it: the stream waits here
                self.strange[path] = f"unreadable: {error.strerror}"
                break
            if header is not None:
                self._headers[path] = header
                found.append(Segment(path, header))
        for path in pages(folder):
            if path not in self._pages or (self._pages[path] or "").startswith("unreadable"):
                self._pages[path] = why_unread(path)
            if (why := self._pages[path]) is not None:
                self.strange[path] = why
        if found:
            self.streams[stream] = found
        elif not names and _is_abandoned(folder):
            self.empty.append(folder)
        return found

    def _read_header(self, path: Path) -> SegmentHeader | None:
        try:
            with path.open("rb") as file:
                payload = unseal(file.readline(_HEADER_MAX).rstrip(b"\n"))
            if payload is None:
                self.strange[path] = "no segment header"
                return None
            head = msgspec.json.decode(payload, type=_Head)
            if head.format != FORMAT:
                self.strange[path] = f"format {head.format}; this mcp-weir reads {FORMAT}"
                return None
            return msgspec.json.decode(payload, type=SegmentHeader)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            self.strange[path] = f"unreadable: {type(error).__name__}"
            return None


def scan(root: Path) -> list[Segment]:
    """Every readable segment beneath `root`, in order of stream and number."""
    index = Index(root)
    if root.is_dir():
        index.refresh()
    return [segment for segments in index.streams.values() for segment in segments]


def stream_is_live(root: Path, stream: uuid.UUID) -> bool:
    """A writer still holds one of the stream's segments."""
    return any(_locked(path) for path in (root / str(stream)).glob(f"*{SUFFIX}"))


def remove_stream(root: Path, stream: uuid.UUID) -> bool:
    """Remove a dead, drained stream's folder; False (and left as it is) while anything of value is in it."""
    folder = root / str(stream)
    try:
        leftovers = [*(page for page in pages(folder) if why_unread(page) is None), *folder.glob("*.new")]
        if {folder / name for name in _names(folder)} - set(leftovers):
            return False
        for leftover in leftovers:
            leftover.unlink(missing_ok=True)
        folder.rmdir()
    except OSError:
        return False
    return True


def _lines(data: bytes, offset: int, limit: int, take: Take | None) -> Chunk:
    lines: list[tuple[int, Line]] = []
    damaged: list[tuple[int, bytes]] = []
    position, taken = offset, 0
    pieces = data.split(b"\n", limit)
    for raw in pieces[:-1]:
        if position > 0:  # the first line is the header
            payload = unseal(raw)
            if payload is None:
                damaged.append((position, raw))
            elif take is not None and take(payload):
                taken += 1
            else:
                _decode(payload, position, lines, damaged)
        position += len(raw) + 1
    left = pieces[-1]  # half a line; or, where the limit came first, lines that are to be read yet
    return Chunk(lines, position, 0 if b"\n" in left else len(left), damaged, taken)


def _decode(payload: bytes, position: int, lines: list[tuple[int, Line]], damaged: list[tuple[int, bytes]]) -> None:
    try:
        line = decode(payload)
    except msgspec.DecodeError:
        line = []
    if line:
        lines.append((position, line))
    else:
        damaged.append((position, seal(payload)[:-1]))


def _names(folder: Path) -> list[str]:
    """What is in it; nothing where it is gone. Any other trouble is raised: it does not make a folder empty."""
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _is_abandoned(folder: Path) -> bool:
    """No segment in it, nobody holds one that is to come, and it is not just being made."""
    try:
        young = time.time() - folder.stat().st_mtime < 10
    except OSError:
        return False
    return not young and not any(_locked(path) for path in folder.glob("*.new"))


def _locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
    except FileNotFoundError:
        return False
    except OSError:  # held; or nobody can tell (no descriptor left), and a living worker must not be taken for dead
        return True
