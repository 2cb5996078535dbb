"""An exchange of which a line was lost is lost as a whole: counted once, and what stands of it is ended by a marker."""

from pathlib import Path

import msgspec

from mcp_weir.spool import counters, reader
from mcp_weir.spool.writer import DROPPED
from mcp_weir.traffic.facts import Line
from spooling import call, count, drain, query, recording, spool, wait, writer_at

UNFIT = "a lone surrogate: \ud800"  # no JSON can be made of it


def half(number: int, lost_at: int) -> list[Line]:
    """A call in four lines, one of which no spool can take."""
    lines = [[fact] for fact in call(number)]
    lost = lines[lost_at][0]
    name = {0: "user_agent", 1: "target", 2: "error_message"}[lost_at]
    lines[lost_at] = [msgspec.structs.replace(lost, **{name: UNFIT})]
    return lines


def spooled(root: Path) -> list[tuple[int, str, tuple[str, ...]]]:
    """(exchange, fact, flags) of what stands in the spool, in order."""
    facts = [fact for segment in reader.scan(root) for _, line in segment.read(0, 1 << 20).lines for fact in line]
    return [(fact.exchange, type(fact).__name__, getattr(fact, "flags", ())) for fact in facts
            if type(fact).__name__ != "Heartbeat"]


def test_what_had_been_spooled_is_ended_by_a_marker_with_the_next_heartbeat(tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number, lost_at in ((1, 2), (2, 0)):
        writer.seen(7)
        said = [writer.offer(line, 7) for line in half(number, lost_at)]
        assert said == [True] * lost_at + [False] * (4 - lost_at)
    assert spooled(tmp_path) == [(1, "Opened", ()), (1, "Request", ())]
    writer.heartbeat(1)
    writer.heartbeat(2)
    # of the second nothing stands: a marker would end what never began
    assert spooled(tmp_path)[2:] == [(1, "Closed", (DROPPED,))]
    (folder,) = tmp_path.iterdir()
    counts = counters.read_counts(folder)[7]
    assert (counts.seen, counts.spooled, dict(counts.dropped)) == (2, 0, {"error": 2})
    writer.close()


def test_a_number_that_was_lost_once_is_not_lost_for_ever(tmp_path: Path) -> None:
    """What is remembered of a loss goes with its exchange."""
    writer = writer_at(tmp_path)
    for line in half(1, 1):
        writer.offer(line, 7)
    assert writer.offer(call(1), 7) and writer._broken == {}
    writer.close()


def test_the_recorder_ends_it_without_a_row_and_counts_it_as_dropped(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    opened, *others = half(1, 2)
    minute = opened[0].wall_us // 60_000_000
    with recording(database_url, tmp_path):
        spool(writer, opened)
        assert writer.offer(others[0], minute)
        wait(lambda: count(database_url, "pending_requests") == 1)
        assert not any([writer.offer(line, minute) for line in others[1:]])
        writer.heartbeat(opened[0].wall_us)
        wait(lambda: count(database_url, "open_exchanges") == 0)
    drain(database_url, tmp_path, lambda: query(
        database_url, "SELECT sum(seen), sum(stored), sum(dropped) FROM weir.coverage") == [(1, 0, 1)])
    assert count(database_url, "pending_requests") == 0
    writer.close()
