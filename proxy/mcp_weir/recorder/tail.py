"""Following the spool: which lines come next, and which position a commit would make them. Knows no database."""

import dataclasses
import time
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path

from mcp_weir.sinks.batch import Advance
from mcp_weir.spool.reader import Chunk, Index, Segment, Take, remove_stream, stream_is_live
from mcp_weir.spool.segment import SegmentHeader
from mcp_weir.traffic.facts import Line

_LOOK_EVERY_S = 0.25
Taker = Callable[[SegmentHeader], Take | None]


@dataclasses.dataclass(slots=True)
class Reading:
    """What one look at the spool found: to be committed together."""

    lines: list[tuple[SegmentHeader, int, Line]] = dataclasses.field(default_factory=list)
    damaged: list[tuple[SegmentHeader, bytes]] = dataclasses.field(default_factory=list)
    advances: list[Advance] = dataclasses.field(default_factory=list)
    buried: list[SegmentHeader] = dataclasses.field(default_factory=list)  # streams that are dead and read to the end
    torn_bytes: int = 0
    taken: int = 0  # lines that were not kept, for somebody took them
    left_bytes: int = 0  # of the limits
    left_lines: int = 0

    def full(self) -> bool:
        """The limits are reached."""
        return self.left_bytes <= 0 or self.left_lines <= 0


@dataclasses.dataclass(slots=True)
class _Cursor:
    offset: int
    done: bool


class Tail:
    """Positions in every stream of one spool. `meet` and `committed` say what the ledger says."""

    def __init__(self, root: Path) -> None:
        self.index = Index(root)
        self._root = root
        self._cursors: dict[uuid.UUID, _Cursor] = {}
        self._finished: set[uuid.UUID] = set()  # streams buried and committed, their folders perhaps still there
        self._next_look = 0.0
        self._turn = 0
        self._taker: Taker | None = None

    def look(self) -> list[Segment]:
        """List the spool again if it is time; returns the segments whose position has to be asked for."""
        now = time.monotonic()
        if now >= self._next_look:
            self._next_look = now + _LOOK_EVERY_S
            self.index.refresh()
        listed = {s.header.segment: s for segments in self.index.streams.values() for s in segments}
        if len(self._cursors) > len(listed):  # one that went and comes back is asked for anew
            self._cursors = {key: cursor for key, cursor in self._cursors.items() if key in listed}
        return [segment for key, segment in listed.items() if key not in self._cursors]

    def meet(self, segments: list[Segment], ledger: Mapping[uuid.UUID, tuple[int, bool]]) -> None:
        """What the ledger knows of these segments. One that was finished before (and perhaps restored) is removed."""
        for segment in segments:
            offset, done = ledger.get(segment.header.segment, (0, False))
            self._cursors[segment.header.segment] = _Cursor(offset, done)

    def read(self, limit_bytes: int, limit_lines: int, taker: Taker | None = None) -> Reading:
        """The next lines of every stream, within these limits; a stream's segments strictly in order.

        `taker` gives each segment's lines to somebody who takes what he can; the others are in the reading.
        """
        reading = Reading(left_bytes=limit_bytes, left_lines=limit_lines)
        self._taker = taker
        streams = list(self.index.streams.items())
        self._turn = (self._turn + 1) % max(1, len(streams))  # under a backlog everyone is first in turn
        for stream, segments in streams[self._turn:] + streams[:self._turn]:
            if reading.full():
                break
            self._read_stream(stream, segments, reading)
        return reading

    def assume(self, reading: Reading) -> None:
        """Read on behind this reading, which is being written; whoever is wrong in that throws everything away."""
        for step in reading.advances:
            self._cursors[step.segment] = _Cursor(step.new, step.done)
        self._finished |= {header.stream for header in reading.buried}

    def committed(self, reading: Reading) -> None:
        """The reading is in the database: go on from there, and remove what was acknowledged. Needs no space."""
        self.assume(reading)
        self.tidy()

    def tidy(self) -> None:
        """Remove acknowledged segments and the folders of buried streams."""
        for stream, segments in self.index.streams.items():
            for segment in [s for s in segments if self._is_done(s)]:
                segment.path.unlink(missing_ok=True)
                if len(segments) > 1 or stream in self._finished:
                    segments.remove(segment)
        for stream in list(self._finished):
            if remove_stream(self._root, stream):
                self._finished.discard(stream)
                self.index.streams.pop(stream, None)

    def unread_bytes(self) -> int:
        """Bytes in the spool that the ledger does not have."""
        return sum(
            max(0, s.size() - cursor.offset)
            for segments in self.index.streams.values() for s in segments
            if not (cursor := self._cursors.get(s.header.segment, _Cursor(0, False))).done
        )

    def live(self) -> set[uuid.UUID]:
        """Streams that a worker still writes."""
        return {stream for stream in self.index.streams if stream_is_live(self._root, stream)}

    def _is_done(self, segment: Segment) -> bool:
        cursor = self._cursors.get(segment.header.segment)
        return cursor is not None and cursor.done

    def _read_stream(self, stream: uuid.UUID, segments: list[Segment], reading: Reading) -> None:
        if stream in self._finished:
            return
        position = 0
        while position < len(segments):
            segment = segments[position]
            try:
                if not self._is_done(segment) and not self._read_segment(segment, reading):
                    return
            except OSError as error:  # a bad disk holds up this stream and no other
                self.index.strange[segment.path] = f"unreadable: {error.strerror}"
                return
            position += 1
            if position == len(segments):  # a later segment may have appeared since the spool was listed
                segments = self._relist(stream, segments)
        if segments and not stream_is_live(self._root, stream):
            reading.buried.append(segments[-1].header)

    def _relist(self, stream: uuid.UUID, before: list[Segment]) -> list[Segment]:
        known = {segment.header.segment for segment in before}
        later = [s for s in self.index.look_at(stream) if s.header.segment not in known]
        self.index.streams[stream] = before + later
        return self.index.streams[stream]

    def _read_segment(self, segment: Segment, reading: Reading) -> bool:
        """True when the segment is read to its end and no more will come."""
        cursor = self._cursors.get(segment.header.segment)
        if cursor is None or reading.full():
            return False
        final = segment.is_final()
        size = segment.size()
        chunk = Chunk([], cursor.offset, 0, [])
        if size > cursor.offset:
            take = self._taker(segment.header) if self._taker is not None else None
            chunk = segment.read(cursor.offset, reading.left_bytes, reading.left_lines, take)
        # read to the end of the file, and not to a limit
        ended = final and chunk.end_offset + chunk.torn >= size and len(chunk) < reading.left_lines
        if ended or chunk.end_offset != cursor.offset:
            header = segment.header
            reading.lines += [(header, at, line) for at, line in chunk.lines]
            reading.damaged += [(header, raw) for _, raw in chunk.damaged]
            reading.advances.append(Advance(header.segment, header.stream, cursor.offset, chunk.end_offset, ended))
        reading.taken += chunk.taken
        reading.left_bytes -= chunk.end_offset - cursor.offset
        reading.left_lines -= len(chunk)
        if chunk.end_offset + chunk.torn < size:  # more lies there than was to be read, if only by half a line
            reading.left_bytes = 0
        if ended:
            reading.torn_bytes += chunk.torn
        return ended

