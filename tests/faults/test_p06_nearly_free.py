"""P6: recording is nearly free: no request fails and none waits, however Postgres and the disk fare."""

import asyncio
from pathlib import Path

import pytest

from faults.lab.disk import small_disk
from faults.lab.load import Ledger, steady
from faults.lab.machine import unrest
from faults.lab.table import at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
RATE, LASTS, ADDED_MS = 200, 3.0, 2.0
ROUNDS = 3  # where something else took the machine in one of the two moments, they are measured again
BITES = {"frozen": "processes stopped", "dead": "processes killed", "disk full": "bytes filled"}


async def _measure(lab) -> Ledger:
    return await steady(lab.weir.port, RATE, LASTS, ledger=Ledger())


async def _in(lab, disk, state: str, bites: dict[str, float]) -> Ledger:
    """The load while this lasts; adds to `bites` how often it was felt."""
    match state:
        case "frozen":
            felt = lab.postgres.freeze()
        case "dead":
            felt = lab.postgres.kill()
        case _:
            lab.wire.toxics.blackhole = True
            felt = disk.fill()
    bites[BITES[state]] = bites.get(BITES[state], 0) + felt
    await asyncio.sleep(1.5)
    try:
        return await _measure(lab)
    finally:
        lab.postgres.thaw()
        if state == "dead":
            await asyncio.to_thread(lab.postgres.start)
        disk.relieve()
        lab.wire.toxics.blackhole = False
        await asyncio.sleep(1)


async def _pair(lab, disk, state: str, bites: dict[str, float]) -> tuple[Ledger, Ledger, float]:
    """The load while all is well, then under the fault; and by how many ms the machine itself was late (p99)."""
    with unrest() as others:
        healthy, troubled = await _measure(lab), await _in(lab, disk, state, bites)
    return healthy, troubled, others.p99


def _added(pair: tuple[Ledger, Ledger, float]) -> float:
    return pair[1].latency_ms(0.5) - pair[0].latency_ms(0.5)


async def test_postgres_and_disk(laboratory, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        async with laboratory(data=disk.path / "data") as lab:
            await _measure(lab)  # warm
            for state in BITES:
                bites: dict[str, float] = {}
                every = [await _pair(lab, disk, state, bites)]
                while len(every) < ROUNDS and _added(every[-1]) > ADDED_MS + every[-1][2]:
                    every.append(await _pair(lab, disk, state, bites))
                healthy, troubled, late = best = min(every, key=_added)
                ledgers = [ledger for pair in every for ledger in pair[:2]]
                failed = sum(len(ledger.calls) - ledger.count("answered") for ledger in ledgers)
                judge(
                    "P6", f"Postgres {state}" if state != "disk full" else "disk full and Postgres away",
                    at_most("failed requests", failed, 0),
                    at_most("p50 beyond that with Postgres healthy, ms", _added(best), ADDED_MS + late),
                    bites=bites | {"calls": sum(len(ledger.calls) for ledger in ledgers)},
                    notes=f"{RATE} req/s; p50 {healthy.latency_ms(0.5):.2f} and {troubled.latency_ms(0.5):.2f} ms,"
                    f" p99 {healthy.latency_ms(0.99):.1f} and {troubled.latency_ms(0.99):.1f} ms;"
                    f" round {every.index(best) + 1} of {len(every)}; rates: see benchmarks",
                    about=" ".join(ledger.troubles() for ledger in ledgers),
                )
