"""P7, P8: everything at once. Faults drawn by lot fall on all parts together; the ledger is judged at the end."""

import asyncio
import collections
import random
import signal

import pytest

from faults.lab import processes
from faults.lab.load import Ledger, steady
from faults.lab.records import about, compare, drained, settled_coverage
from faults.lab.table import at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.full, pytest.mark.timeout(600)]
LASTS, RATE = 30.0, 200


class Lots:
    """Draws faults; each is one method and leaves things whole again."""

    def __init__(self, lab, seed: int) -> None:
        self.lab, self.dice = lab, random.Random(seed)
        self.bites: collections.Counter[str] = collections.Counter()

    async def draw(self) -> None:
        """One fault."""
        fault = self.dice.choice([self.worker, self.recorder, self.frozen, self.cut, self.swallowed, self.terminated,
                                  self.postgres])
        self.bites[fault.__name__] += 1
        await fault()

    async def worker(self) -> None:
        processes.send(signal.SIGKILL, *self.lab.weir.pids("relay")[:1])

    async def recorder(self) -> None:
        self.lab.kill_recorder()

    async def frozen(self) -> None:
        self.lab.postgres.freeze()
        await asyncio.sleep(self.dice.uniform(0.2, 2))
        self.lab.postgres.thaw()

    async def cut(self) -> None:
        self.lab.wire.toxics.cut_commits += 2

    async def swallowed(self) -> None:
        self.lab.wire.toxics.blackhole = True
        await asyncio.sleep(self.dice.uniform(0.2, 2))
        self.lab.wire.toxics.blackhole = False
        self.lab.wire.reset()

    async def terminated(self) -> None:
        await asyncio.to_thread(self.lab.postgres.terminate_backends)

    async def postgres(self) -> None:
        await asyncio.to_thread(self.lab.postgres.kill)
        await asyncio.sleep(self.dice.uniform(0, 1))
        await asyncio.to_thread(self.lab.postgres.start)


@pytest.mark.parametrize("seed", [1])
async def test_everything_at_once(laboratory, seed: int) -> None:
    async with laboratory(workers=3) as lab:
        lots, fast, slow = Lots(lab, seed), Ledger(), Ledger()
        loads = asyncio.gather(
            steady(lab.weir.port, RATE, LASTS, ledger=fast),
            steady(lab.weir.port, 10, LASTS, ledger=slow, prefix="slow", tool="sleep", seconds=0.5),
        )
        while not loads.done() and len(fast.calls) < RATE * (LASTS - 2):
            await lots.draw()
            await asyncio.sleep(lots.dice.uniform(0.2, 1))
        lab.wire.toxics.cut_commits = 0
        await loads
        await drained(lab.url, fast, slow)
        total = await settled_coverage(lab.url)
        found = compare(lab.url, fast, slow)
        judge(
            "P8", f"everything at once, drawn by lot (seed {seed}), for {LASTS:.0f} s",
            at_most("missing", len(found.missing), 0), at_most("duplicates", len(found.duplicates), 0),
            at_most("wrong answers", fast.count("wrong") + slow.count("wrong"), 0),
            at_most("executed twice", sum(n > 1 for n in lab.upstream.executed.values()), 0),
            at_most("seen - stored - dropped",
                    abs(total["seen"] - total["stored"] - total["dropped"] - total["quarantined"]), 0),
            bites=dict(lots.bites) | {"calls": len(fast.calls) + len(slow.calls)},
            notes=f"{fast.count('broken') + slow.count('broken')} calls broken by dying workers",
            about=f"{total} {fast.troubles()} {about(lab.url, found)} {lab.weir.log.read_text()[-1500:]}",
        )
