"""P9: a full disk harms no traffic; what is lost is counted exactly; recording resumes alone."""

import asyncio
from pathlib import Path

import pytest

from faults.lab.disk import small_disk
from faults.lab.load import Ledger, steady
from faults.lab.records import about, compare, drained, query, settled_coverage
from faults.lab.table import at_least, at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
RATE = 400


async def _full(lab, disk, *, leave: int) -> tuple[Ledger, Ledger, int]:
    """Calls before, under and after a full disk, with Postgres away meanwhile; returns the two ledgers and bytes."""
    lab.wire.toxics.blackhole = True
    during, after = Ledger(), Ledger()
    load = asyncio.create_task(steady(lab.weir.port, RATE, 10, ledger=during, prefix="during"))
    await asyncio.sleep(2)
    filled = disk.fill(leave)
    await asyncio.sleep(4)
    disk.relieve()
    lab.wire.toxics.blackhole = False
    lab.wire.reset()
    await load
    await steady(lab.weir.port, RATE, 3, ledger=after, prefix="after")
    await drained(lab.url, after)
    return during, after, filled


@pytest.mark.parametrize(
    ("keep_free", "leave"),
    [pytest.param(None, 0, id="kept free", marks=pytest.mark.full), pytest.param("0", 1500, id="a line torn"),
     pytest.param("0", 0, id="to the last byte", marks=pytest.mark.full)],
)
async def test_full_disk(laboratory, tmp_path: Path, keep_free: str | None, leave: int) -> None:
    settings = {"keep_free": keep_free} if keep_free else {}
    with small_disk(tmp_path / "disk", 8) as disk:
        async with laboratory(data=disk.path / "data", **settings) as lab:
            during, after, filled = await _full(lab, disk, leave=leave)
            total = await settled_coverage(lab.url)
            found = compare(lab.url, after)
            recorded = len(set(query(lab.url, "SELECT jsonrpc_id FROM weir.requests WHERE outcome <> 'running'")))
            sent = 1 + len(during.calls) + len(after.calls)
            failed = sum(len(ledger.calls) - ledger.count("answered") for ledger in (during, after))
            judge(
                "P9", f"8 MB disk full, {leave} bytes left, keep-free {keep_free or 'default'}, Postgres away",
                at_most("failed requests", failed, 0),
                at_most("sent - stored - counted as dropped", abs(sent - total["stored"] - total["dropped"]), 0),
                # not the other way round: of an exchange that was lost in its middle, the beginning may have a row
                at_most("stored without a row", max(0, total["stored"] - recorded), 0),
                at_most("seen - sent", abs(total["seen"] - sent), 0),
                at_most("missing after relief", len(found.missing), 0),
                at_most("duplicates", len(found.duplicates), 0),
                at_least("rows of the load", recorded, 1),
                bites={"bytes filled": filled, "dropped": total["dropped"]},
                about=f"{total} recorded {recorded} sent {sent} {during.troubles()} {about(lab.url, found)}"
                f" {lab.weir.log.read_text()[-1500:]}",
            )
