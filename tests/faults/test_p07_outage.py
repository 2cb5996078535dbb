"""P7: an outage of Postgres loses nothing and repeats nothing, whatever form it takes."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import pytest

from faults.lab.load import Ledger, steady
from faults.lab.records import about, compare, drained
from faults.lab.table import at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]
RATE = 500
OUTAGE = 8.0
WITHIN = 20.0


async def under_load(lab, seconds: float, fault: Callable[[], Awaitable[dict[str, float]]]) -> tuple[Ledger, dict]:
    """The fault while the load runs; then the load's ledger and the bites."""
    load = asyncio.create_task(steady(lab.weir.port, RATE, seconds))
    await asyncio.sleep(1)
    bites = await fault()
    return await load, bites


async def judged(lab, fault: str, ledger: Ledger, bites: dict[str, float], back: float) -> None:
    """`back` is the moment Postgres accepted connections again."""
    waited = await drained(lab.url, ledger)
    took = max(0.0, time.monotonic() - back) if waited > 0.3 else max(0.0, waited)
    await asyncio.sleep(1)  # a duplicate may still come
    found = compare(lab.url, ledger)
    judge(
        "P7", fault,
        at_most("missing", len(found.missing), 0), at_most("duplicates", len(found.duplicates), 0),
        at_most("drained s", took, WITHIN),
        at_most("failed requests", len(ledger.calls) - ledger.count("answered"), 0),
        bites={**bites, "calls": len(ledger.calls)}, about=ledger.troubles() + about(lab.url, found) + lab.weir.log.read_text()[-1500:],
    )


async def test_killed_three_times(laboratory) -> None:
    async with laboratory() as lab:
        async def fault() -> dict[str, float]:
            killed = 0
            for _ in range(3):
                killed += await asyncio.to_thread(lab.postgres.kill)
                await asyncio.sleep(OUTAGE / 4)
                await asyncio.to_thread(lab.postgres.start)
                await asyncio.sleep(2)
            return {"kill -9": 3, "processes killed": killed}

        ledger, bites = await under_load(lab, OUTAGE + 6, fault)
        await judged(lab, "kill -9 of Postgres, three times", ledger, bites, time.monotonic())
