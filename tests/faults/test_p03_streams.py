"""P3: streams flow. Every event arrives, in order, hardly later than directly; idle streams live; streams are cheap."""

import asyncio
import gc
import json
import time

import pytest

from faults.lab import processes
from faults.lab.load import Connection, request
from faults.lab.records import query
from faults.lab.table import at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
ADDED_MS, KB_A_STREAM = 5.0, 40.0


class Watched:
    """What many streams brought: delays of events in ms, and how many were lost or out of order."""

    def __init__(self) -> None:
        self.delays: list[float] = []
        self.wrong = 0
        self.ended = 0

    def quantile(self, part: float) -> float:
        """Of the delays, in ms."""
        ordered = sorted(self.delays)
        return ordered[min(int(len(ordered) * part), len(ordered) - 1)]


async def _watch(port: int, number: int, events: int, into: Watched) -> None:
    connection, following = Connection(port), 0
    await asyncio.sleep(number % 97 / 97)  # spread over the second
    await connection.send(request(f"s{port}-{number}", "n", "stream", events=events, interval=1.0))
    async for event in connection.each_event(await connection.answer_head()):
        now = time.monotonic()
        said = json.loads(event.partition(b"data: ")[2])
        if "params" not in said:
            into.ended += 1
            continue
        into.wrong += said["params"]["progress"] != following
        following += 1
        into.delays.append(1e3 * (now - said["params"]["at"]))
    into.wrong += following != events
    connection.abort()


async def _streams(port: int, count: int, events: int) -> Watched:
    into = Watched()
    gc.collect()
    gc.freeze()  # the judge's own pauses would be taken for the relay's
    await asyncio.gather(*(_watch(port, number, events, into) for number in range(count)))
    gc.unfreeze()
    return into


async def _flow(laboratory, count: int, events: int) -> None:
    async with laboratory() as lab:
        before = processes.rss_mb(lab.weir.relay)
        # at the same time: what else the machine does delays both
        running = asyncio.gather(_streams(lab.weir.port, count, events), _streams(lab.upstream.port, count, events))
        await asyncio.sleep(events - 1)
        each = (processes.rss_mb(lab.weir.relay) - before) * 1000 / count
        through, direct = await running
        await asyncio.sleep(2)
        rows = query(lab.url, "SELECT count(*) FROM weir.requests WHERE target = 'stream' AND outcome = 'ok'")[0][0]
        judge(
            "P3", f"{count:,} streams, an event a second each, {events} s",
            at_most("events lost or out of order", through.wrong, 0),
            at_most("streams without their end", count - through.ended, 0),
            at_most("added p99 ms", through.quantile(0.99) - direct.quantile(0.99), ADDED_MS),
            at_most("memory a stream kB", each, KB_A_STREAM),
            at_most("streams without a row", count - rows, 0),
            bites={"events": len(through.delays)},
            notes=f"p50 {direct.quantile(0.5):.1f} ms directly, {through.quantile(0.5):.1f} through;"
            f" p99 {direct.quantile(0.99):.1f} and {through.quantile(0.99):.1f}",
        )


@pytest.mark.short
async def test_streams(laboratory) -> None:
    await _flow(laboratory, 300, 10)


@pytest.mark.full
async def test_a_thousand_streams(laboratory) -> None:
    await _flow(laboratory, 1000, 60)
