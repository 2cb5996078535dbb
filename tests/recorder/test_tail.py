"""Following the spool without a database: positions are kept of what is there, and of nothing that has gone."""

import time
from pathlib import Path

from mcp_weir.recorder.tail import Reading, Tail
from spooling import call, spool, writer_at


def follow(tail: Tail) -> Reading:
    """One round of the recorder, with a ledger that knows nothing."""
    tail.meet(tail.look(), {})
    reading = tail.read(1 << 20, 10_000)
    tail.committed(reading)
    return reading


def test_positions_go_with_their_segments(tmp_path: Path) -> None:
    writer, tail, lines = writer_at(tmp_path, segment_bytes=2_000), Tail(tmp_path), 0
    for number in range(200):
        assert spool(writer, call(number))
        if number % 20 == 0:
            lines += len(follow(tail).lines)
    deadline = time.monotonic() + 10
    while lines < 200 or len(tail._cursors) > 2:
        assert time.monotonic() < deadline, (lines, len(tail._cursors))
        lines += len(follow(tail).lines)
        time.sleep(0.05)
    assert lines == 200 and len(list(tmp_path.glob("*/*.seg"))) <= 2
    writer.close()
