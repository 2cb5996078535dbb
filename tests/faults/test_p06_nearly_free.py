"""P6: recording is nearly free: no request fails and none waits, however Postgres and the disk fare."""

import asyncio
from pathlib import Path

import pytest

from faults.lab.disk import small_disk
from faults.lab.load import Ledger, steady
from faults.lab.table import at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(240)]
RATE, LASTS, ADDED_MS = 400, 3.0, 2.0
STATES = ("frozen", "dead", "disk full")


async def _measure(lab) -> Ledger:
    return await steady(lab.weir.port, RATE, LASTS, ledger=Ledger())


async def _in(lab, disk, state: str) -> Ledger:
    """The load while this lasts."""
    match state:
        case "frozen":
            lab.postgres.freeze()
        case "dead":
            lab.postgres.kill()
        case "disk full":
            lab.wire.toxics.blackhole = True
            disk.fill()
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


async def test_postgres_and_disk(laboratory, tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", 64) as disk:
        async with laboratory(data=disk.path / "data") as lab:
            await _measure(lab)  # warm
            for state in STATES:
                healthy, troubled = await _measure(lab), await _in(lab, disk, state)
                failed = sum(len(led.calls) - led.count("answered") for led in (healthy, troubled))
                judge(
                    "P6", f"Postgres {state}" if state != "disk full" else "disk full and Postgres away",
                    at_most("failed requests", failed, 0),
                    at_most("p50 beyond that with Postgres healthy, ms",
                            troubled.latency_ms(0.5) - healthy.latency_ms(0.5), ADDED_MS),
                    bites={"calls": len(troubled.calls)},
                    notes=f"{RATE} req/s; p50 {healthy.latency_ms(0.5):.2f} and {troubled.latency_ms(0.5):.2f} ms,"
                    f" p99 {healthy.latency_ms(0.99):.1f} and {troubled.latency_ms(0.99):.1f} ms;"
                    " rates: see benchmarks",
                    about=troubled.troubles(),
                )
