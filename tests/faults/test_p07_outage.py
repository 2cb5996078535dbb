"""P7: an outage of Postgres loses nothing and repeats nothing, whatever form it takes."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from faults.lab.http import CutShort
from faults.lab.load import Connection, Ledger, request, steady
from faults.lab.machine import unrest
from faults.lab.records import about, compare, drained
from faults.lab.table import at_least, at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
RATE = 500
WITHIN = 20.0


async def killed(lab, outage: float) -> dict[str, float]:
    """kill -9 of every process of Postgres, three times."""
    hit = 0
    for _ in range(3):
        hit += await asyncio.to_thread(lab.postgres.kill)
        await asyncio.sleep(outage / 3)
        await asyncio.to_thread(lab.postgres.start)
        await asyncio.sleep(1)
    return {"kill -9": 3, "processes killed": hit}


async def frozen(lab, outage: float) -> dict[str, float]:
    """SIGSTOP: connections stay open and nobody answers."""
    hit = lab.postgres.freeze()
    try:
        await asyncio.sleep(outage)
    finally:
        lab.postgres.thaw()
    return {"processes stopped": hit}


async def swallowed(lab, outage: float) -> dict[str, float]:
    """A blackhole between recorder and Postgres."""
    lab.wire.toxics.blackhole = True
    await asyncio.sleep(outage)
    lab.wire.toxics.blackhole = False
    lab.wire.reset()  # as a router's table does when it comes back
    return {"segments swallowed": lab.wire.bites["swallowed"]}


async def terminated(lab, outage: float) -> dict[str, float]:
    """pg_terminate_backend, again and again."""
    hit = 0
    for _ in range(20):
        hit += await asyncio.to_thread(lab.postgres.terminate_backends)
        await asyncio.sleep(outage / 20)
    return {"backends terminated": hit}


async def commit_cut(lab, outage: float) -> dict[str, float]:
    """The COMMIT arrives, its answer does not."""
    lab.wire.toxics.cut_commits = 20
    await asyncio.sleep(outage)
    lab.wire.toxics.cut_commits = 0
    return {"commits cut": lab.wire.bites["commits cut"]}


async def crippled(lab, outage: float) -> dict[str, float]:
    """Slices of 7 bytes, latency, and a reset after every 4 kB."""
    lab.wire.toxics.slice, lab.wire.toxics.latency, lab.wire.toxics.limit = 7, 0.01, 4_000
    await asyncio.sleep(outage)
    lab.wire.toxics.slice, lab.wire.toxics.latency, lab.wire.toxics.limit = 0, 0.0, None
    return {"slow segments": lab.wire.bites["slowed"], "resets": lab.wire.bites["limited"]}


async def recorder_killed(lab, outage: float) -> dict[str, float]:
    """kill -9 of the recorder, five times."""
    hit = 0
    for _ in range(5):
        hit += lab.kill_recorder()
        await asyncio.sleep(outage / 5)
    return {"recorders killed": hit, "restarts": lab.weir.restarts()}


SHORT = [(killed, 6.0), (frozen, 10.0), (commit_cut, 8.0), (recorder_killed, 8.0)]
FULL = [(swallowed, 10.0), (terminated, 6.0), (crippled, 6.0)]
MINUTES = 5


async def _outage(lab, fault: Callable[..., Awaitable[dict[str, float]]], outage: float) -> None:
    ledger = Ledger()
    load = asyncio.create_task(steady(lab.weir.port, RATE, outage + 6, ledger=ledger))
    await asyncio.sleep(1)
    bites = await fault(lab, outage)
    with unrest() as others:
        took = await drained(lab.url, ledger, within=120)
    await load
    await drained(lab.url, ledger, within=10)
    await asyncio.sleep(1)  # a duplicate may still come
    found = compare(lab.url, ledger)
    judge(
        "P7", f"{(fault.__doc__ or '').rstrip('.')}; {outage:.0f} s at {RATE} req/s",
        at_most("missing", len(found.missing), 0), at_most("duplicates", len(found.duplicates), 0),
        at_most("failed requests", len(ledger.calls) - ledger.count("answered"), 0),
        at_most("drained s", took, WITHIN * others.slower),
        bites=bites | {"calls": len(ledger.calls)},
        about=f"{ledger.troubles()} {about(lab.url, found)} {lab.weir.log.read_text()[-1500:]}",
    )


@pytest.mark.parametrize(("fault", "outage"), SHORT, ids=lambda value: getattr(value, "__name__", ""))
async def test_outage(laboratory, fault, outage: float) -> None:
    async with laboratory() as lab:
        await _outage(lab, fault, outage)


@pytest.mark.full
@pytest.mark.parametrize(("fault", "outage"), FULL, ids=lambda value: getattr(value, "__name__", ""))
async def test_more_outages(laboratory, fault, outage: float) -> None:
    async with laboratory() as lab:
        await _outage(lab, fault, outage)


@pytest.mark.full
@pytest.mark.timeout(900)
async def test_five_minutes_and_streams_that_are_silent_meanwhile(laboratory) -> None:
    async with laboratory() as lab:
        idle = [Connection(lab.weir.port) for _ in range(20)]
        for number, connection in enumerate(idle):
            await connection.send(request(f"idle-{number}", "n", "idle", seconds=330))
        began = time.monotonic()
        ends = [asyncio.create_task(_end_of(connection)) for connection in idle]
        await _outage(lab, swallowed, MINUTES * 60.0)
        lived = await asyncio.gather(*ends)
        judge(
            "P3", "20 streams on which nothing comes for 330 s",
            at_most("cut", lived.count(False), 0), at_least("lived s", time.monotonic() - began, 330),
            bites={"streams": len(idle)},
        )


async def _end_of(connection: Connection) -> bool:
    """Whether the stream came to its own, clean end."""
    try:
        await connection.parts(await connection.answer_head())
    except CutShort:
        return False
    finally:
        connection.abort()
    return True
