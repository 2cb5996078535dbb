"""P5: a POST is never replayed, whatever becomes of the connection it went out on."""

import asyncio
import random

import pytest

from faults.lab import misbehave  # noqa: F401  its tools
from faults.lab.load import Call, Connection, Ledger, perform
from faults.lab.records import about, compare, drained
from faults.lab.table import at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
COUNT = 500


async def _race(lab, ledger: Ledger, lane: int) -> None:
    """A call whose connection the upstream closes a moment later, then one that falls into that moment."""
    dice, connection = random.Random(lane), Connection(lab.weir.port)
    for number in range(COUNT // 20):
        first, second = (Call(f"race-{lane}-{number}-{part}", "n", 0.0) for part in "ab")
        ledger.calls |= {first.id: first, second.id: second}
        seconds = dice.uniform(0.0, 0.012)
        await perform(connection, first, "farewell", seconds=seconds)
        await asyncio.sleep(max(0.0, seconds + dice.uniform(-0.003, 0.002)))
        await perform(connection, second, "swallow" if number % 5 == 4 else "echo")
    connection.abort()


async def test_keep_alive_race(laboratory) -> None:
    async with laboratory() as lab:
        ledger = Ledger()
        await asyncio.gather(*(_race(lab, ledger, lane) for lane in range(20)))
        await drained(lab.url, ledger)
        await asyncio.sleep(1)
        found = compare(lab.url, ledger)
        twice = [key for key, count in lab.upstream.executed.items() if count > 1]
        raced = [c for c in ledger.calls.values() if str(c.id).endswith("b")]
        lost = sum(call.outcome != "answered" for call in raced)
        judge(
            "P5", f"{len(raced)} POSTs onto connections that the upstream is closing",
            at_most("executed more than once", len(twice), 0), at_most("wrong answers", ledger.count("wrong"), 0),
            at_most("missing", len(found.missing), 0), at_most("duplicates", len(found.duplicates), 0),
            bites={"POSTs": len(raced), "lost to the race": lost},
            about=f"{twice[:5]} {ledger.troubles()} {about(lab.url, found)}",
        )
