"""P9: a disk whose fsync fails harms no traffic; nothing is lost that the count does not say."""

import asyncio
import shutil
import subprocess
from pathlib import Path

import pytest

from faults.lab.load import Ledger, steady
from faults.lab.records import about, compare, drained, query, settled_coverage
from faults.lab.table import at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
SOURCE = Path(__file__).parent / "lab" / "failing_fsync.c"


def _shim(folder: Path) -> Path:
    """The preloaded library; skips where there is no compiler."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    made = folder / "failing_fsync.so"
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", made, SOURCE, "-ldl"], check=True)
    return made


@pytest.mark.full
async def test_failing_fsync(laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failing = tmp_path / "failing"
    monkeypatch.setenv("LD_PRELOAD", str(_shim(tmp_path)))
    monkeypatch.setenv("FAIL_FSYNC_WHILE", str(failing))
    async with laboratory(durability="power") as lab:
        monkeypatch.delenv("LD_PRELOAD")
        ledger = Ledger()
        load = asyncio.create_task(steady(lab.weir.port, 200, 9, ledger=ledger))
        await asyncio.sleep(2)
        failing.touch()
        await asyncio.sleep(3)
        bit = failing.stat().st_size > 0
        failing.unlink()
        await load
        await drained(lab.url, ledger, within=10)
        total = await settled_coverage(lab.url)
        found = compare(lab.url, ledger)
        recorded = len(set(query(lab.url, "SELECT jsonrpc_id FROM weir.requests WHERE outcome <> 'running'")))
        after = [f'"{call.id}"' for call in list(ledger.calls.values())[-400:] if call.outcome == "answered"]
        judge(
            "P9", "fsync fails with EIO for 3 s under --durability power",
            at_most("failed requests", len(ledger.calls) - ledger.count("answered"), 0),
            at_most("sent - recorded - counted as dropped",
                    abs(1 + len(ledger.calls) - recorded - total["dropped"]), 0),
            at_most("missing of the last 2 s", len(found.missing.intersection(after)), 0),
            at_most("duplicates", len(found.duplicates), 0), at_most("restarts", lab.weir.restarts(), 0),
            bites={"fsync failed": bit, "calls": len(ledger.calls)},
            notes=f"{total['dropped']} dropped",
            about=f"{total} {recorded} {ledger.troubles()} {about(lab.url, found)} {lab.weir.log.read_text()[-1500:]}",
        )
