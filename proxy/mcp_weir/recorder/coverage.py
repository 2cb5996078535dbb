"""Coverage of a batch: what the workers' pages say, and what this batch stores, by stream and minute of opening."""

import uuid
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

from mcp_weir.attribution.joins import Settled
from mcp_weir.attribution.state import ExchangeState, Origin
from mcp_weir.attribution.verdicts import Row, wall
from mcp_weir.sinks.batch import Batch, CoverageRow
from mcp_weir.spool.counters import CountsReader, MinuteCounts
from mcp_weir.spool.writer import DROPPED
from mcp_weir.traffic.facts import Line, Opened

MINUTE_US = 60_000_000


class Coverage:
    """Reads the pages of one spool; holds what was last said of them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._pages: dict[uuid.UUID, CountsReader] = {}

    def add_pages(self, batch: Batch, streams: Iterable[uuid.UUID], *, everything: bool) -> None:
        """Put what has changed in these streams' pages into the batch. Read the pages after the lines."""
        for stream in streams:
            page = self._pages.get(stream)
            if page is None:
                page = self._pages[stream] = CountsReader(self._root / str(stream))
            for minute, counts in page.changed(everything=everything).items():
                assert page.names is not None
                _say(batch, Origin(stream, *page.names, ""), minute, counts)

    def forget(self, stream: uuid.UUID) -> None:
        """The stream is buried."""
        self._pages.pop(stream, None)


def count_stored(batch: Batch, settled: Settled) -> None:
    """Exchanges that ended in this batch are stored, unless their worker had to drop a part of them."""
    for state in settled.ended:
        if state.closed is None or DROPPED not in state.closed.flags:
            entry(batch, state.origin, state.opened.wall_us // MINUTE_US).stored += 1


def count_quarantined(batch: Batch, bad: list[Row], settled: Settled) -> None:
    """Exchanges of which a row was refused count as quarantined, each once, and not as stored."""
    keys = {row.request_key for row in bad}
    exchanges: dict[tuple[uuid.UUID, int], ExchangeState] = {}
    for row, state in settled.rows:
        if row.request_key in keys:
            exchanges[state.origin.stream, state.opened.exchange] = state
    for state in exchanges.values():
        found = entry(batch, state.origin, state.opened.wall_us // MINUTE_US)
        found.stored -= 1
        found.quarantined += 1


def count_condemned(batch: Batch, origin: Origin, line: Line) -> None:
    """A line that could not be read into the joins: its exchange is quarantined where the line says when it opened."""
    opened = line[0]
    if isinstance(opened, Opened):
        entry(batch, origin, opened.wall_us // MINUTE_US).quarantined += 1


def _say(batch: Batch, origin: Origin, minute: int, counts: MinuteCounts) -> None:
    found = entry(batch, origin, minute)
    found.seen, found.spooled, found.dropped = counts.seen, counts.spooled, dict(counts.dropped)


def entry(batch: Batch, origin: Origin, minute: int) -> CoverageRow:
    """What the batch says of this Unix minute of a worker's life."""
    at: datetime = wall(minute * MINUTE_US)
    found = batch.coverage.get((origin.stream, at))
    if found is None:
        found = batch.coverage[origin.stream, at] = CoverageRow(origin.stream, at, origin.service, origin.instance)
    return found
