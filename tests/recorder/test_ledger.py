"""The ledger: a position moves from where it was said to be, or nothing of the batch is written."""

import dataclasses
import uuid
from pathlib import Path

import psycopg
import pytest

from mcp_weir.attribution.verdicts import wall
from mcp_weir.sinks.batch import Advance, Batch, CoverageRow
from mcp_weir.sinks.postgres import LedgerMoved, PostgresSink, load_offsets
from spooling import call, count, drain, now_us, query, recording, spool, wait, writer_at

SEGMENT, STREAM = uuid.UUID(int=1), uuid.UUID(int=2)
FIRST = Advance(SEGMENT, STREAM, 0, 100, False)
MINUTE = wall(now_us() // 60_000_000 * 60_000_000)


def batch(*advances: Advance) -> Batch:
    """Positions, and something to write beside them."""
    said = CoverageRow(STREAM, MINUTE, "s", "i", stored=1)
    return Batch(advances=list(advances), coverage={(STREAM, MINUTE): said})


def stored(url: str) -> int:
    return int(query(url, "SELECT coalesce(sum(stored), 0) FROM weir.coverage_rows")[0][0])


@pytest.mark.parametrize(
    "second",
    [FIRST, dataclasses.replace(FIRST, old=50, new=150), dataclasses.replace(FIRST, old=101, new=150, done=True)],
    ids=["the same again", "from before", "from beyond"],
)
def test_a_position_that_is_not_where_it_was_said_to_be_writes_nothing(database_url: str, second: Advance) -> None:
    other = dataclasses.replace(FIRST, segment=uuid.UUID(int=3))
    with psycopg.connect(database_url, autocommit=True) as one, psycopg.connect(database_url, autocommit=True) as two:
        PostgresSink(one).write(batch(FIRST))
        with pytest.raises(LedgerMoved, match=str(SEGMENT)):
            PostgresSink(two).write(batch(other, second))
        assert load_offsets(two, [SEGMENT, other.segment]) == {SEGMENT: (100, False)}, "of the other segment neither"
    assert stored(database_url) == 1


def test_a_segment_that_is_done_stays_done(database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:
        sink = PostgresSink(conn)
        sink.write(batch(dataclasses.replace(FIRST, done=True)))
        with pytest.raises(LedgerMoved):
            sink.write(batch(dataclasses.replace(FIRST, old=100, new=200)))
        assert load_offsets(conn, [SEGMENT]) == {SEGMENT: (100, True)}


def test_two_recorders_of_one_spool_write_each_exchange_once(database_url: str, tmp_path: Path) -> None:
    """The lock of the data directory keeps them apart; where it does not (a network share), the ledger does."""
    writer = writer_at(tmp_path, segment_bytes=20_000)
    with recording(database_url, tmp_path), recording(database_url, tmp_path):
        for number in range(600):
            spool(writer, call(number))
        wait(lambda: count(database_url, "request_rows") >= 600)
        wait(lambda: stored(database_url) >= 600)
    writer.close()
    drain(database_url, tmp_path, lambda: not list(tmp_path.glob("*/*.seg")))
    numbers = [int(row[0]) for row in query(database_url, "SELECT jsonrpc_id FROM weir.request_rows")]
    assert sorted(numbers) == list(range(600)) and stored(database_url) == 600
