"""Following the spool without a database: positions are kept of what is there, and of nothing that has gone."""

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_weir.recorder.tail import Reading, Tail
from mcp_weir.spool.reader import Index
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


@pytest.mark.parametrize("limit", [1, 2, 50])
def test_a_limit_of_lines_ends_no_segment(tmp_path: Path, limit: int) -> None:
    """What lies behind the limit is no torn tail, though the writer is dead and the whole file was read."""
    writer, tail, lines = writer_at(tmp_path), Tail(tmp_path), 0
    for number in range(120):
        assert spool(writer, call(number))
    writer.close()
    while tail.index.streams or not lines:
        tail.meet(tail.look(), {})
        reading = tail.read(1 << 20, limit)
        tail.committed(reading)
        lines += len(reading.lines)
        assert reading.torn_bytes == 0
    assert lines == 120


def test_a_reading_that_leaves_something_is_full(tmp_path: Path) -> None:
    """Else the next one is not read ahead, and the recorder rests though it is behind."""
    writer, tail, full = writer_at(tmp_path), Tail(tmp_path), []
    for number in range(100):
        assert spool(writer, call(number))
    lines = 0
    while lines < 100:
        tail.meet(tail.look(), {})
        reading = tail.read(10_000, 10_000)  # cuts a line in two
        tail.committed(reading)
        lines += len(reading.lines)
        full.append(reading.full())
    assert len(full) > 3 and all(full[:-1]) and not full[-1]
    writer.close()


def read_on(tail: Tail, wanted: int) -> int:
    """So many lines, at last."""
    lines, deadline = 0, time.monotonic() + 10
    while lines < wanted:
        assert time.monotonic() < deadline, lines
        tail._next_look = 0.0
        lines += len(follow(tail).lines)
    return lines


@contextlib.contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Whatever opens a file in this process fails with EMFILE."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    first_free = os.open("/dev/null", os.O_RDONLY)
    os.close(first_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (first_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_without_descriptors_no_living_stream_is_taken_for_dead(tmp_path: Path) -> None:
    writer, tail = writer_at(tmp_path, segment_bytes=2_000), Tail(tmp_path)
    for number in range(20):
        spool(writer, call(number))
    lines = read_on(tail, 20)
    before = sorted(path.name for path in tmp_path.glob("*/*"))
    with no_descriptor_left():
        reading = tail.read(1 << 20, 10_000)  # between two listings of the spool
        assert not reading.buried and not any(step.done for step in reading.advances)
        tail._next_look = 0.0
        with contextlib.suppress(OSError):  # that nothing could be listed may be said
            assert not follow(tail).buried
    assert sorted(path.name for path in tmp_path.glob("*/*")) == before
    for number in range(20, 40):
        spool(writer, call(number))
    writer.close()
    assert lines + read_on(tail, 20) == 40


def test_a_stream_waits_at_a_segment_that_cannot_be_opened(tmp_path: Path) -> None:
    writer = writer_at(tmp_path, segment_bytes=2_000)
    for number in range(20):
        spool(writer, call(number))
    writer.close()
    first, second, *_ = sorted(tmp_path.glob("*/*.seg"))
    hidden = first.read_bytes()
    first.unlink()
    first.mkdir()  # opened by nobody, not even root
    index = Index(tmp_path)
    index.refresh()
    assert index.streams == {} and list(index.strange) == [first] and second.exists()
    first.rmdir()
    first.write_bytes(hidden)
    index.refresh()
    assert [s.path for s in index.streams[writer.stream]][:2] == [first, second]
