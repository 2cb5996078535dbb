"""One connection's life of the recorder: reads the spool, joins, writes batches. Thrown away after any trouble."""

import time
import uuid
from concurrent.futures import Future, ThreadPoolExecutor, wait
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import psycopg

from mcp_weir import log
from mcp_weir.attribution.joins import Joiner, Settled
from mcp_weir.attribution.state import Origin
from mcp_weir.attribution.verdicts import Row, wall
from mcp_weir.recorder import coverage
from mcp_weir.recorder.batches import fill
from mcp_weir.recorder.forgotten import Forgotten
from mcp_weir.recorder.meeting import Meeting
from mcp_weir.recorder.quick import Quick
from mcp_weir.recorder.rollups import roll_up
from mcp_weir.recorder.tail import Reading, Tail
from mcp_weir.sinks.batch import Batch, Quarantined
from mcp_weir.sinks.postgres import Poisoned, PostgresSink, load_offsets, quarantined
from mcp_weir.sinks.waiting import Mark, load_marks, load_open
from mcp_weir.spool.reader import Take, remove_stream
from mcp_weir.spool.segment import SegmentHeader, seal
from mcp_weir.traffic.facts import Heartbeat, Line, Opened

_READ_BYTES = 8 << 20
_READ_LINES = 16_384
_HOUSEKEEPING_S = 5.0
_POISON_ROUNDS = 4


class NotPlain(Exception):
    """What had come the quick way is refused by Postgres: nothing was written."""


class Intake:
    """Everything in memory here follows from the ledger and the pending tables: losing it costs a re-reading."""

    SINGLE = 5  # the caution at which a batch is a single line
    CALM_LINES = 20_000  # lines without trouble after which caution ends

    def __init__(
        self, conn: psycopg.Connection, sink: PostgresSink, root: Path, idle_window: timedelta,
        condemned: frozenset[tuple[object, int]],
    ) -> None:
        self.busy = False  # the last reading found more than heartbeats
        self.position: tuple[object, int] | None = None  # of the line being taken
        self.lines = self.damaged = self.torn_bytes = self.quiet_lines = 0
        self.watermark: datetime | None = None
        self._conn, self._sink, self._root, self._idle_window = conn, sink, root, idle_window
        self._condemned, self._broken = condemned, {segment for segment, _ in condemned}
        self._forgotten = Forgotten(conn)
        sink.tombstone = self._forgotten.newest
        self._tail = Tail(root)
        self._joiner = Joiner(int(idle_window.total_seconds() * 1e6), self._forgotten.covers)
        self._quick = Quick(sink.packer, self._joiner, self._forgotten, keep_rows=sink.keep_rows)
        self._meeting = Meeting(conn, sink.recorder, self._joiner, idle_window)
        self._coverage = coverage.Coverage(root)
        self._loaded: set[uuid.UUID] = set()
        self._heard: dict[uuid.UUID, int] = {}  # stream -> wall time of the last heartbeat read, microseconds
        self._reading, self._settled = Reading(), Settled()
        self._reader = ThreadPoolExecutor(1, "recorder-reader")  # Postgres and Python then work at the same time
        self._ahead: Future[Reading] | None = None
        self._caution = 0
        self._next_housekeeping = 0.0

    @property
    def streams(self) -> int:
        """Streams in the spool."""
        return len(self._tail.index.streams)

    @property
    def behind(self) -> bool:
        """The last reading ended at its limits: more lies there."""
        return self._reading.full()

    @property
    def strange(self) -> dict[str, str]:
        """Files in the spool that are no segments of ours, and why."""
        return {str(path.relative_to(self._root)): why for path, why in self._tail.index.strange.items()}

    def unread_bytes(self) -> int:
        """Bytes in the spool that are not committed."""
        return self._tail.unread_bytes()

    def next_batch(self, caution: int) -> Batch | None:
        """Read on and join; None when there is nothing worth a transaction. `caution` makes batches smaller."""
        self._meet()
        self.position, self._caution = None, caution
        reading = self._reading = self._read() if self._ahead is None else self._ahead.result()
        self._ahead = None
        batch = Batch(advances=reading.advances, buried=[header.stream for header in reading.buried])
        self._take(reading, batch)
        self._quick.harvest(batch)
        housekeeping = time.monotonic() >= self._next_housekeeping
        if housekeeping:
            self._housekeep(batch)
        if not (self.busy or housekeeping or batch.buried or batch.quarantine or self._meeting.due()):
            return None
        for header in reading.buried:
            self._joiner.interrupt(header.stream)
        self._settled = self._joiner.settle(self._meeting.ask(batch))
        self._forgotten.leave_out(self._settled)
        fill(batch, self._settled)
        self._meeting.tell(batch, self._marks(reading))
        coverage.count_stored(batch, self._settled)
        touched = {step.stream for step in reading.advances} | set(batch.buried)
        streams = set(self._tail.index.streams) if housekeeping else touched
        self._coverage.add_pages(batch, streams, everything=bool(batch.buried))
        return batch

    def write(self, batch: Batch) -> None:
        """Commit the batch; under a backlog, the next is read meanwhile."""
        if self._reading.full():
            self._tail.assume(self._reading)
            self._ahead = self._reader.submit(self._read)
        try:
            self._commit(batch)
            self._meeting.settle(bool(batch.queue or batch.packed.queue), self._reading.full())
        finally:
            if self._ahead is not None:
                wait([self._ahead])
        self._tail.committed(self._reading)
        for stream in batch.buried:
            self._coverage.forget(stream)
            self._quick.forget(stream)
            self._heard.pop(stream, None)
        self.quiet_lines += self.lines

    def _read(self) -> Reading:
        limit = 1 if self._caution >= self.SINGLE else _READ_LINES >> 3 * self._caution
        self._quick.begin()
        return self._tail.read(_READ_BYTES >> 2 * min(self._caution, self.SINGLE), limit, self._taker)

    def _commit(self, batch: Batch) -> None:
        """Without what Postgres refuses of it: that goes to quarantine."""
        for _ in range(_POISON_ROUNDS):
            batch.rollups = roll_up(batch.rows, batch.packed)
            try:
                self._sink.write(batch)
                break
            except Poisoned:
                self._set_aside(batch, self._sink.find_poison(batch))
        else:
            raise RuntimeError("a batch is refused whose parts are not")

    def _taker(self, header: SegmentHeader) -> Take | None:
        if self._caution or header.segment in self._broken:  # where a line breaks something, each goes the general way
            return None
        return self._quick.way(_origin(header))

    def _meet(self) -> None:
        """Ask the ledger about segments that are new to us, and take up what their streams left open."""
        new = self._tail.look()
        if not new:
            return
        self._tail.meet(new, load_offsets(self._conn, [segment.header.segment for segment in new]))
        self._tail.tidy()
        streams = {segment.header.stream for segment in new} - self._loaded
        for state in load_open(self._conn, self._sink.recorder, streams):
            self._joiner.load(state)
        self._heard = load_marks(self._conn, streams) | self._heard
        self._loaded |= streams

    def _take(self, reading: Reading, batch: Batch) -> None:
        self.busy, self.lines = bool(reading.taken), len(reading.lines) + reading.taken
        self.damaged, self.torn_bytes = len(reading.damaged), reading.torn_bytes
        origins: dict[uuid.UUID, Origin] = {}
        for header, at, line in reading.lines:
            first = line[0]
            if isinstance(first, Heartbeat):
                self._heard[header.stream] = first.wall_us
                continue
            self.busy = True
            origin = origins.get(header.stream)
            if origin is None:
                origin = origins[header.stream] = _origin(header)
            if self._condemned and (header.segment, at) in self._condemned:
                _condemn(batch, origin, line)
                continue
            self.position = (header.segment, at)
            if type(first) is Opened:
                batch.fresh.add((header.stream, first.exchange))
            self._joiner.take(origin, line)
        for header, raw in reading.damaged:
            batch.quarantine.append(Quarantined(header.service, header.instance, raw, "damaged spool line"))

    def _marks(self, reading: Reading) -> dict[uuid.UUID, Mark]:
        """How far each stream has been read; a stream that has not said anything yet, to its beginning."""
        marks = {}
        for stream, segments in self._tail.index.streams.items():
            if segments:
                header = segments[-1].header
                read_to_us = self._heard.get(stream, segments[0].header.started_us)
                marks[stream] = Mark(header.service, header.host_boot, read_to_us, False)
        for header in reading.buried:
            read_to_us = self._heard.get(header.stream, header.started_us)
            marks[header.stream] = Mark(header.service, header.host_boot, read_to_us, True)
        return marks

    def _housekeep(self, batch: Batch) -> None:
        self._next_housekeeping = time.monotonic() + _HOUSEKEEPING_S
        live = self._tail.live()
        known = [self._heard.get(stream) for stream in live]
        now_us = time.time_ns() // 1000
        if None not in known:  # a live stream not heard of yet holds the watermark where it was
            self.watermark = wall(min((us for us in known if us is not None), default=now_us))
        self._bury_empty(batch)

    def _bury_empty(self, batch: Batch) -> None:
        """Folders without a segment: a worker died as it began, or a recorder between its commit and rmdir."""
        for folder in self._tail.index.empty:
            stream = uuid.UUID(folder.name)
            alone = Batch()
            self._coverage.add_pages(alone, [stream], everything=True)
            if alone.coverage:
                alone.buried.append(stream)
                self._sink.write(alone)
            self._coverage.forget(stream)
            removed = remove_stream(self._root, stream)
            log.info("recorder.empty_stream", stream=str(stream), removed=removed)

    def _set_aside(self, batch: Batch, found: list[tuple[object, str]]) -> None:
        if any(isinstance(item, bytes) for item, _ in found):
            raise NotPlain("a packed row is refused: read again, the general way")
        bad_rows = [item for item, _ in found if isinstance(item, Row)]
        bad = {id(item) for item, _ in found}
        batch.rows = [row for row in batch.rows if id(row) not in bad]
        batch.ends = [end for end in batch.ends if id(end) not in bad]
        keys = {row.request_key for row in bad_rows}
        keys |= {pair[0].request_key for pair in batch.pending if id(pair) in bad}
        batch.queue = [row for row in batch.queue if id(row) not in bad and row.request_key not in keys]
        batch.pending = [pair for pair in batch.pending if id(pair) not in bad]
        batch.sessions = {key: delta for key, delta in batch.sessions.items() if id(delta) not in bad}
        batch.touched = {key: touch for key, touch in batch.touched.items() if id(touch) not in bad}
        batch.streams = {key: row for key, row in batch.streams.items() if id(row) not in bad}
        batch.catalog = {key: row for key, row in batch.catalog.items() if id(row) not in bad}
        coverage.count_quarantined(batch, bad_rows, self._settled)
        for item, reason in found:
            refused = quarantined(item, reason)
            if refused is not None:
                batch.quarantine.append(refused)
                log.warning("recorder.quarantined", kind=type(item).__name__, reason=reason)


def _origin(header: SegmentHeader) -> Origin:
    return Origin(header.stream, header.service, header.instance, header.key_id, header.host_boot)


def _condemn(batch: Batch, origin: Origin, line: Line) -> None:
    batch.quarantine.append(
        Quarantined(origin.service, origin.instance, seal(msgspec.json.encode(line)), "breaks the joins")
    )
    coverage.count_condemned(batch, origin, line)
