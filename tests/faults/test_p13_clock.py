"""P13: the clock may jump; durations are monotonic, and nothing is lost to a time that cannot be."""

import asyncio
from pathlib import Path

import pytest

from faults.lab.load import Ledger, steady
from faults.lab.machine import unrest
from faults.lab.records import about, compare, drained, query
from faults.lab.table import at_least, at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
JUMPS = ("+1h", "-1h", "+3650d", "+0")
SLEEP_S = 0.3


def _library() -> str:
    """libfaketime; skips where it is not installed."""
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        pytest.skip("libfaketime is not installed")
    return str(found[0])


async def test_jumps(laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0\n")
    faked = {"LD_PRELOAD": _library(), "FAKETIME_TIMESTAMP_FILE": str(clock), "DONT_FAKE_MONOTONIC": "1",
             "FAKETIME_CACHE_DURATION": "1"}
    for name, value in faked.items():
        monkeypatch.setenv(name, value)
    async with laboratory() as lab:
        for name in faked:
            monkeypatch.delenv(name)
        ledger, slow = Ledger(), Ledger()
        with unrest() as others:
            for number, jump in enumerate(JUMPS):
                load = asyncio.gather(
                    steady(lab.weir.port, 50, 4, ledger=ledger, prefix=f"c{number}"),
                    steady(lab.weir.port, 10, 4, ledger=slow, prefix=f"slow{number}", tool="sleep", seconds=SLEEP_S),
                )
                await asyncio.sleep(1.5)
                clock.write_text(jump + "\n")
                await load
        await drained(lab.url, ledger, slow)
        await asyncio.sleep(1)
        found = compare(lab.url, ledger, slow)
        rows = query(lab.url, "SELECT duration_ms FROM weir.requests WHERE outcome = 'ok' AND target = 'sleep'")
        fast = query(lab.url, "SELECT duration_ms FROM weir.requests WHERE outcome = 'ok' AND target = 'echo'")
        shortest, longest = min(row[0] for row in rows), max(row[0] for row in [*rows, *fast])
        days = query(lab.url, "SELECT count(DISTINCT started_at::date) FROM weir.requests")[0][0]
        answered = max(c.ended - c.began for c in [*slow.calls.values(), *ledger.calls.values()]) * 1e3
        judge(
            "P13", "wall clock +1 h, -2 h, +10 years and back, under load",
            at_most("failed requests", sum(len(x.calls) - x.count("answered") for x in (ledger, slow)), 0),
            at_most("missing", len(found.missing), 0), at_most("duplicates", len(found.duplicates), 0),
            at_least(f"shortest duration of a {SLEEP_S * 1e3:.0f} ms call", shortest, SLEEP_S * 1e3 - 1),
            at_most("longest duration beyond the client's own measure, ms", longest - answered, 5 + 2 * others.worst),
            at_most("negative durations", sum(row[0] < 0 for row in [*rows, *fast]), 0),
            bites={"jumps": len(JUMPS), "days in started_at": days - 1},
            about=f"{ledger.troubles()} {about(lab.url, found)} {lab.weir.log.read_text()[-1500:]}",
        )
