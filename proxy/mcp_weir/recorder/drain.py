"""The recorder: spool to Postgres, exactly once, retrying for ever. Runs on a thread of its own.

The position in the spool lives in Postgres alone and moves in the transaction that writes the rows, so a
crash on either side, or a connection cut between COMMIT and its answer, changes nothing.
"""

import dataclasses
import threading
import time
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import structlog

from mcp_weir.attribution.joins import Joiner
from mcp_weir.attribution.sessions import DerivedSessions
from mcp_weir.attribution.state import Origin
from mcp_weir.recorder.batches import fill
from mcp_weir.sinks.postgres import (
    Advance,
    Batch,
    CoverageRow,
    LedgerMoved,
    PostgresSink,
    load_derived,
    load_offsets,
    load_open,
)
from mcp_weir.spool import counters, reader
from mcp_weir.spool.segment import SegmentHeader
from mcp_weir.store import connect, migrate
from mcp_weir.traffic.facts import Heartbeat

_READ_BYTES = 1 << 20
_BACKOFF_MAX_S = 5.0
_HOUSEKEEPING_S = 5.0
log = structlog.get_logger()


@dataclasses.dataclass(frozen=True, slots=True)
class State:
    """How the recorder fares."""

    connected: bool = False
    last_error: str | None = None
    rows: int = 0
    lines: int = 0
    lag_bytes: int = 0


@dataclasses.dataclass(slots=True)
class _Cursor:
    offset: int
    done: bool


class Recorder:
    """Drains one data directory's spool into one database."""

    def __init__(
        self, database_url: str, spool_root: Path, *, idle_window_s: float = 1800, poll_s: float = 0.1
    ) -> None:
        self.state = State()
        self._url, self._root = database_url, spool_root
        self._idle_window, self._poll_s = timedelta(seconds=idle_window_s), poll_s
        self._sink = PostgresSink()
        self._reset()

    def run(self, stop: threading.Event) -> None:
        """Drain until `stop` is set; then once more what is already spooled. Never raises."""
        pause = 0.2
        while not stop.is_set():
            try:
                with connect.connect(self._url, autocommit=True) as conn:
                    migrate.migrate(conn)
                    self._reset()
                    self._derived.live.update(load_derived(conn, self._idle_window))
                    self._say(connected=True, last_error=None)
                    pause = 0.2
                    self._drain(conn, stop)
            except Exception as error:  # the recorder loop: one of the three places where a broad except stands
                self._say(connected=False, last_error=_plain(error))
                log.warning("recorder.retry", error=_plain(error), pause_s=pause)
                stop.wait(pause)
                pause = min(pause * 2, _BACKOFF_MAX_S)

    def _reset(self) -> None:
        self._joiner = Joiner()
        self._derived = DerivedSessions(self._idle_window)
        self._cursors: dict[uuid.UUID, _Cursor] = {}
        self._loaded: set[uuid.UUID] = set()
        self._dead: set[uuid.UUID] = set()
        self._next_housekeeping = 0.0

    def _drain(self, conn: psycopg.Connection, stop: threading.Event) -> None:
        while True:
            stopping = stop.is_set()
            moved = self._step(conn)
            if stopping and not moved:
                return
            if not moved:
                stop.wait(self._poll_s)

    def _step(self, conn: psycopg.Connection) -> bool:
        segments = reader.scan(self._root)
        self._meet(conn, segments)
        batch, finished = Batch(), []
        lag, lines, busy = 0, 0, False
        behind: set[uuid.UUID] = set()  # streams with an earlier segment not yet read to its end
        for segment in segments:
            header = segment.header
            cursor = self._cursors[header.segment]
            if header.stream in behind or cursor.done:
                if cursor.done:
                    finished.append(segment)
                continue
            final = segment.is_final()
            chunk = segment.read(cursor.offset, _READ_BYTES)
            ended = final and chunk.end_offset == cursor.offset
            if not ended:
                behind.add(header.stream)
            origin = Origin(header.stream, header.service, header.instance, header.key_id)
            for raw in chunk.damaged:
                batch.quarantine.append((header.service, header.instance, raw[1], "damaged spool line"))
            for _, line in chunk.lines:
                self._joiner.take(origin, line)
                busy = busy or not isinstance(line[0], Heartbeat)
            lines += len(chunk.lines)
            lag += chunk.end_offset - cursor.offset
            if ended or chunk.end_offset != cursor.offset:
                advance = Advance(header.segment, header.stream, cursor.offset, chunk.end_offset, ended)
                batch.advances.append(advance)
        busy = self._bury(segments, batch) or busy
        housekeeping = time.monotonic() >= self._next_housekeeping
        if housekeeping:
            self._housekeep(batch, {s.header.stream: s.header for s in segments})
        ended_any = any(step.done for step in batch.advances)
        if not (busy or housekeeping or ended_any or batch.quarantine):
            return False
        fill(batch, self._joiner.settle(), self._derived)
        self._commit(conn, batch)
        self._after(batch, segments, finished)
        self._say(rows=self.state.rows + len(batch.rows), lines=self.state.lines + lines, lag_bytes=lag)
        return busy

    def _meet(self, conn: psycopg.Connection, segments: list[reader.Segment]) -> None:
        new = [s.header.segment for s in segments if s.header.segment not in self._cursors]
        if not new:
            return
        known = load_offsets(conn, new)
        for segment in new:
            self._cursors[segment] = _Cursor(*known.get(segment, (0, False)))
        streams = {s.header.stream for s in segments} - self._loaded
        for state in load_open(conn, streams):
            self._joiner.load(state)
        self._loaded |= streams

    def _bury(self, segments: list[reader.Segment], batch: Batch) -> bool:
        """Streams whose writer is dead and whose last segment ends in this batch: what is open is interrupted."""
        ends = {step.segment for step in batch.advances if step.done}
        for stream in {s.header.stream for s in segments} - self._dead:
            left = [s for s in segments if s.header.stream == stream and not self._cursors[s.header.segment].done]
            if left and all(s.header.segment in ends for s in left) and not reader.stream_is_live(self._root, stream):
                self._dead.add(stream)
                self._joiner.interrupt(stream)
        return False

    def _housekeep(self, batch: Batch, headers: dict[uuid.UUID, SegmentHeader]) -> None:
        self._next_housekeeping = time.monotonic() + _HOUSEKEEPING_S
        self._joiner.expire(int((time.time() - self._idle_window.total_seconds()) * 1e6))
        for stream, header in headers.items():
            for minute, count in counters.read_counts(self._root / str(stream) / "counts").items():
                at = datetime.fromtimestamp(minute * 60, UTC)
                batch.coverage.append(
                    CoverageRow(stream, at, header.service, header.instance, count.seen, count.spooled,
                                dict(count.dropped), 0, 0)
                )

    def _commit(self, conn: psycopg.Connection, batch: Batch) -> None:
        """Write the batch. Trouble raises out of the drain: it starts anew from what the ledger says."""
        try:
            self._sink.write(conn, batch)
        except LedgerMoved:
            log.error("recorder.ledger_moved", hint="another recorder drains this data directory")
            raise

    def _after(self, batch: Batch, segments: list[reader.Segment], finished: list[reader.Segment]) -> None:
        for step in batch.advances:
            self._cursors[step.segment] = _Cursor(step.new, step.done)
        for segment in segments:
            if self._cursors[segment.header.segment].done:
                segment.unlink()
        left = {s.header.stream for s in segments if not self._cursors[s.header.segment].done}
        for stream in self._dead - left:
            reader.remove_stream(self._root, stream)

    def _say(self, **changes: object) -> None:
        self.state = dataclasses.replace(self.state, **changes)  # type: ignore[arg-type]


def _plain(error: Exception) -> str:
    return connect.mask(f"{type(error).__name__}: {error}".splitlines()[0])[:300]
