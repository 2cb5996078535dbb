"""The spool: what was written is read back once whole, whatever happened to the writer."""

import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from mcp_weir.errors import SpoolError
from mcp_weir.spool import counters, reader
from mcp_weir.spool.late import LateWriter
from mcp_weir.spool.segment import ask_to_rotate
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.traffic.facts import Closed, Opened

FSIZE = resource.getrlimit(resource.RLIMIT_FSIZE)
KILLED_WRITER = """
import sys
from pathlib import Path
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.traffic.facts import Closed, Opened
w = SpoolWriter(Path(sys.argv[1]), service="s", instance="i", key_id="k")
n = 0
while True:
    w.seen(7)
    opened = Opened(exchange=n, wall_us=1, mono_us=1, http_method="POST")
    w.offer([opened, Closed(exchange=n, at_us=1, closed_by="complete")], 7)
    print(n, flush=True)
    n += 1
"""


def make_writer(root: Path, **limits: int) -> SpoolWriter:
    return SpoolWriter(root, service="s", instance="i", key_id="k", **limits)


def line(number: int) -> list:
    return [
        Opened(exchange=number, wall_us=1, mono_us=1, http_method="POST"),
        Closed(exchange=number, at_us=5, closed_by="complete", status=200),
    ]


def await_true(holds: Callable[[], bool], seconds: float = 5) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def exchanges(root: Path) -> list[int]:
    return [facts[0].exchange for s in reader.scan(root) for _, facts in s.read(0, 1 << 30).lines]


def test_round_trip_across_rotation(tmp_path: Path) -> None:
    writer = make_writer(tmp_path, segment_bytes=2_000)
    for number in range(100):
        assert writer.offer(line(number), 3)
    segments = reader.scan(tmp_path)
    assert len(segments) > 3
    assert exchanges(tmp_path) == list(range(100))
    await_true(lambda: [s.is_final() for s in segments] == [True] * (len(segments) - 1) + [False])  # once synced
    assert reader.stream_is_live(tmp_path, writer.stream)
    writer.close()
    assert not reader.stream_is_live(tmp_path, writer.stream)


def test_a_writer_that_is_asked_begins_a_new_segment(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    writer.offer(line(1), 5)
    writer.heartbeat(1)
    assert len(list(tmp_path.glob("*/*.seg"))) == 1
    ask_to_rotate(tmp_path)
    writer.heartbeat(2)
    writer.heartbeat(3)
    assert len(list(tmp_path.glob("*/*.seg"))) == 2
    writer.close()


def test_small_reads_meet_at_their_offsets(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    for number in range(50):
        writer.offer(line(number), 3)
    (segment,) = reader.scan(tmp_path)
    offset, seen = 0, []
    while (chunk := segment.read(offset, 333)).end_offset != offset:
        seen += [facts[0].exchange for _, facts in chunk.lines]
        offset = chunk.end_offset
    assert seen == list(range(50))
    writer.close()


def test_a_torn_tail_is_left_out_and_damage_is_named(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    for number in range(3):
        writer.offer(line(number), 3)
    writer.close()
    (segment,) = reader.scan(tmp_path)
    data = bytearray(segment.path.read_bytes())
    rows = bytes(data).split(b"\n")
    data[len(rows[0]) + 20] ^= 1
    segment.path.write_bytes(bytes(data)[:-4])
    chunk = segment.read(0, 1 << 20)
    assert [facts[0].exchange for _, facts in chunk.lines] == [1]
    assert len(chunk.damaged) == 1
    assert chunk.torn == len(rows[3]) - 3


def test_kill_9_loses_nothing_that_was_written(tmp_path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", KILLED_WRITER, str(tmp_path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(300):
        child.stdout.readline()
    os.kill(child.pid, signal.SIGKILL)
    said = child.stdout.read().split(b"\n")
    child.stdout.close()
    child.wait()
    last = int(said[-2]) if len(said) > 1 else 299
    kept = exchanges(tmp_path)
    assert last > 100
    assert kept == list(range(len(kept))) and len(kept) > last
    (folder,) = tmp_path.iterdir()
    count = counters.read_counts(folder)[7]
    assert count.spooled in (len(kept), len(kept) - 1)  # killed between the write and its count
    assert reader.scan(tmp_path)[0].is_final()


def test_a_full_spool_drops_and_counts_exactly_then_resumes(tmp_path: Path) -> None:
    writer = make_writer(tmp_path, spool_max=0)
    for number in range(5):
        writer.seen(9)
        assert not writer.offer(line(number), 9)
    count = counters.read_counts(tmp_path / str(writer.stream))[9]
    assert (count.seen, count.spooled, count.dropped) == (5, 0, {"spool_full": 5})
    writer.close()


def test_a_worker_without_a_spool_counts_what_it_misses_and_records_once_there_is_one(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    root.write_text("in the way")
    with pytest.raises(SpoolError) as trouble:
        make_writer(root)
    threads = threading.active_count()
    writer = LateWriter(lambda: make_writer(root), trouble.value)
    for number in range(5):
        writer.seen(7)
        assert not writer.offer(line(number), 7)
    writer.seen(7)
    writer.offer(line(90)[:1], 7)  # it runs on while the spool comes
    writer.heartbeat(1)
    assert writer.trouble is not None and threading.active_count() == threads
    root.unlink()
    writer.heartbeat(2)
    assert writer.trouble is None
    assert not writer.offer(line(90)[1:], 7)
    writer.seen(7)
    assert writer.offer(line(100), 7)
    assert exchanges(root) == [0, 100]  # the first is the heartbeat
    (stream,) = root.iterdir()
    assert counters.read_counts(stream) == {7: counters.MinuteCounts(seen=7, spooled=1, dropped={"error": 6})}
    writer.close()


def test_a_writer_that_cannot_be_made_leaves_nothing_behind(tmp_path: Path) -> None:
    """It is tried again each second: a folder or a thread for each would fill what is scarce already."""
    threads = threading.active_count()
    resource.setrlimit(resource.RLIMIT_FSIZE, (8_000, FSIZE[1]))  # a page of counts is longer
    try:
        with pytest.raises(SpoolError):
            make_writer(tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, FSIZE)
    assert list(tmp_path.iterdir()) == [] and threading.active_count() == threads


def test_a_disk_that_cannot_be_looked_at_costs_no_record(tmp_path: Path) -> None:
    """Without descriptors no folder can be listed; the open segment can be written all the same."""
    writer = make_writer(tmp_path)
    writer.heartbeat(1)
    writer._budget._next_check = writer._budget._next_sum = 0.0
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, limits[1]))
    try:
        taken = [writer.offer(line(number), 7) for number in range(3)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert taken == [True] * 3
    writer.close()
    assert exchanges(tmp_path) == [0, 0, 1, 2]


def test_several_exchanges_are_one_write_and_each_is_counted(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    writer.seen(3)  # makes that minute's page
    before = writes()
    writer.offer_all([(line(number), 3 + number % 2) for number in range(10)])
    assert writes() - before == 1
    assert exchanges(tmp_path) == list(range(10))
    assert {minute: counts.spooled for minute, counts in counters.read_counts(tmp_path / str(writer.stream)).items()} \
        == {3: 5, 4: 5}
    writer.close()


def writes() -> int:
    """write(2) calls of this thread so far."""
    return int(Path("/proc/thread-self/io").read_text().partition("syscw: ")[2].split()[0])


def test_of_several_exchanges_only_the_one_that_cannot_be_encoded_is_lost(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    broken = [Opened(exchange=2, wall_us=1, mono_us=1, http_method="\ud800"), line(2)[1]]
    writer.offer_all([(broken if number == 2 else line(number), 3) for number in range(5)])
    assert exchanges(tmp_path) == [0, 1, 3, 4]
    counted = counters.read_counts(tmp_path / str(writer.stream))[3]
    assert (counted.spooled, counted.dropped) == (4, {"error": 1})
    writer.close()


def test_of_several_exchanges_a_full_file_takes_what_fits(tmp_path: Path) -> None:
    writer = make_writer(tmp_path)
    held = sum(segment.stat().st_size for segment in tmp_path.rglob("*.seg"))
    writer.offer(line(0), 3)
    one = sum(segment.stat().st_size for segment in tmp_path.rglob("*.seg")) - held
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (held + 4 * one + one // 2, FSIZE[1]))
    try:
        writer.offer_all([(line(number), 3) for number in range(1, 9)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, FSIZE)
    counted = counters.read_counts(tmp_path / str(writer.stream))[3]
    assert exchanges(tmp_path) == [0, 1, 2, 3]
    assert (counted.spooled, counted.dropped) == (4, {"disk_full": 5})
    writer.close()
