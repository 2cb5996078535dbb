"""What is on disk when: group syncs, a sync that fails, and counts that no outage is too long for."""

import asyncio
import os
import time
from pathlib import Path

from mcp_weir.spool import counters, reader
from mcp_weir.spool.sync import Syncer
from spooling import call, writer_at


async def test_many_answers_wait_for_one_sync(tmp_path: Path) -> None:
    writer = writer_at(tmp_path, durability="power")
    synced = []

    async def answer(number: int) -> None:
        assert writer.offer(call(number), 5)
        await asyncio.wait_for(asyncio.ensure_future(writer.synced()), 5)
        synced.append(number)

    await asyncio.gather(*(answer(number) for number in range(200)))
    assert sorted(synced) == list(range(200))
    await asyncio.wait_for(asyncio.ensure_future(writer.synced()), 1)  # nothing to wait for: at once
    assert writer.sync_failures == 0
    writer.close()


async def test_without_being_asked_everything_is_synced_soon(tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    began = time.monotonic()
    writer.offer(call(1), 5)
    await asyncio.wait_for(asyncio.ensure_future(writer.synced()), 5)
    assert time.monotonic() - began < 2  # 20 ms on a machine that does nothing else
    writer.close()


def test_a_file_whose_sync_failed_is_not_trusted_again(tmp_path: Path) -> None:
    reading, writing = os.pipe()  # fdatasync of a pipe fails: EINVAL
    syncer = Syncer(0)
    syncer.follow(writing, tmp_path)
    deadline = time.monotonic() + 5
    while syncer.failures == 0 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert syncer.failures >= 1 and syncer.distrusted == writing
    syncer.close()
    os.close(reading)


def test_a_writer_leaves_a_file_that_failed_and_nobody_is_told(tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    assert writer.offer(call(1), 5)
    writer._sync.distrusted = writer._fd  # as after a sync that failed
    assert writer.offer(call(2), 5) and writer.offer(call(3), 5)
    writer.close()
    lines = [[facts[0].exchange for _, facts in s.read(0, 1 << 20).lines] for s in reader.scan(tmp_path)]
    assert lines == [[1], [2, 3]]


def test_no_outage_is_too_long_for_the_counts(tmp_path: Path) -> None:
    page = counters.Counters(tmp_path, "s", "i")
    minutes = range(29_000_000, 29_000_000 + 10 * 1440, 7)  # ten days; the page of the ring held seventeen hours
    for minute in minutes:
        page.seen(minute)
        page.spooled(minute - 3) if minute % 2 else page.dropped(minute - 3, "disk_full")
    page.close()
    found = counters.read_counts(tmp_path)
    assert sum(count.seen for count in found.values()) == len(minutes)
    assert sum(count.spooled + sum(count.dropped.values()) for count in found.values()) == len(minutes)
    assert counters.CountsReader(tmp_path).names is None


def test_a_reader_of_pages_sees_what_has_changed(tmp_path: Path) -> None:
    page, reading = counters.Counters(tmp_path, "service", "instance"), counters.CountsReader(tmp_path)
    now = int(time.time()) // 60
    page.seen(now)
    assert reading.changed() == {now: counters.MinuteCounts(1, 0, {})}
    assert reading.names == ("service", "instance")
    assert reading.changed() == {}
    page.dropped(now, "observer")
    assert reading.changed() == {now: counters.MinuteCounts(1, 0, {"observer": 1})}
    page.close()


def test_a_clock_that_jumps_ten_years_loses_no_count(tmp_path: Path) -> None:
    page, now, far = counters.Counters(tmp_path, "s", "i"), int(time.time()) // 60, 10 * 365 * 1440
    for minute in (now, now + far, now - 60, now - far, now):
        page.seen(minute)
    page.close()
    found = counters.read_counts(tmp_path)
    assert {minute: count.seen for minute, count in found.items()} == {
        now: 2, now + far: 1, now - 60: 1, now - far: 1,
    }


def test_a_full_disk_at_the_turn_of_a_page_loses_no_count(tmp_path: Path) -> None:
    page = counters.Counters(tmp_path, "s", "i")
    now = int(time.time()) // 60
    page.seen(now)
    hidden = tmp_path / f"counts-{(now + 5000) // 1024}.new"
    hidden.mkdir()  # the next page cannot be made
    page.seen(now + 5000)
    hidden.rmdir()
    page.close()
    assert sum(count.seen for count in counters.read_counts(tmp_path).values()) == 2


def test_a_stream_that_is_blocked_gives_its_segment_up_for_draining(tmp_path: Path) -> None:
    writer = writer_at(tmp_path, spool_max=20_000)
    number = 0
    while writer.offer(call(number), 5):
        number += 1
        time.sleep(0.0005)
        assert number < 20_000
        if number % 50 == 0:
            writer._budget._next_check = 0.0  # a second has passed
    deadline = time.monotonic() + 5
    while not any(segment.is_final() for segment in reader.scan(tmp_path)) and time.monotonic() < deadline:
        time.sleep(0.01)
    (first, *_) = reader.scan(tmp_path)
    assert first.is_final()
    first.path.unlink()
    writer._budget._next_check = 0.0
    assert writer.offer(call(number + 1), 5)
    writer.close()
