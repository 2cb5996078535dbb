"""P8: a power cut loses at most 20 ms, and with `--durability power` nothing that a client has been answered."""

import asyncio
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from faults.lab import power, processes
from faults.lab.load import Ledger, steady
from faults.lab.machine import Unrest, unrest
from faults.lab.records import about, compare, drained
from faults.lab.table import Goal, at_least, at_most, judge
from faults.lab.weir import running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
RATE, LASTS, WITHIN_MS = 200, 5.0, 20.0


class Ticks:
    """What 15 ms of sleep and a sync of our own take in this very run: a busy machine wakes nobody in time."""

    def __init__(self, folder: Path) -> None:
        self._took_ms: list[float] = []
        self._path, self._stop = folder / "ticks", threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Ticks":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        with self._path.open("ab", buffering=0) as file:
            while not self._stop.is_set():
                began = time.monotonic()
                time.sleep(0.015)
                file.write(bytes(1000))
                os.fdatasync(file.fileno())
                self._took_ms.append(1e3 * (time.monotonic() - began))

    @property
    def p99_ms(self) -> float:
        """Of the time that one took."""
        return _quantile(self._took_ms, 0.99)


def _quantile(values: list[float], part: float) -> float:
    return sorted(values)[int(len(values) * part)] if values else float("nan")


def _pull_the_plug(lab) -> int:
    """Every process of the weir, the supervisor first; returns how many there were."""
    everyone = [lab.weir.process.pid, *lab.weir.pids("relay"), *lab.weir.pids("recorder")]
    return processes.send(signal.SIGKILL, *everyone)


@pytest.mark.parametrize("durability", ["power", "process"])
async def test_a_power_cut(laboratory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durability: str) -> None:
    log = tmp_path / "synced"
    monkeypatch.setenv("LD_PRELOAD", str(power.shim(tmp_path)))
    monkeypatch.setenv("POWER_LOG", str(log))
    async with laboratory(durability=durability) as lab:
        monkeypatch.delenv("LD_PRELOAD")
        lab.wire.toxics.blackhole = True  # what is spooled stays where it is
        ledger = Ledger()
        with Ticks(tmp_path) as ticks, unrest() as others:
            load = asyncio.create_task(steady(lab.weir.port, RATE, LASTS, ledger=ledger))
            await asyncio.sleep(LASTS - 1)
            hit = _pull_the_plug(lab)
            await load
        disk = power.read(log)
        late = _late_ms(ledger, power.when_safe(disk, lab.weir.data))
        lost = power.cut(disk, lab.weir.data, tmp_path / "after")
        lab.wire.toxics.blackhole = False
        with running(lab.upstream.port, lab.url, tmp_path / "again", data=tmp_path / "after") as again:
            await drained(lab.url, ledger, within=90 if durability == "power" else 5)
            found = compare(lab.url, ledger)
            judge(
                "P8", f"power cut under {RATE} req/s, --durability {durability}",
                *_goals(durability, late, len(found.missing), ticks.p99_ms, others),
                at_most("duplicates", len(found.duplicates), 0),
                at_least("calls that could have been lost", len(late), 0.7 * RATE * (LASTS - 1)),
                bites={"processes killed": hit, "syncs": disk.syncs, "calls answered": ledger.count("answered"),
                       "calls broken": ledger.count("broken")},
                notes=f"at any moment of {LASTS - 1:.0f} s; {lost:,} bytes of the spool were gone, {len(found.missing)}"
                f" rows; 15 ms and a sync of the judge's own took {ticks.p99_ms:.0f} ms (p99)",
                about=f"{ledger.troubles()} {about(lab.url, found)} {again.log.read_text()[-1500:]}",
            )


def _goals(durability: str, late: list[float], missing: int, ticked_ms: float, others: Unrest) -> tuple[Goal, ...]:
    """Each moment is judged as if the power had gone just then."""
    if durability == "power":
        worst = max(late, default=float("nan"))
        return at_most("answered before it was on the disk, ms", worst, 0), at_most("missing after the cut", missing, 0)
    added = max(0.0, ticked_ms - WITHIN_MS)  # twice: the sync before may have to end first
    return at_most("answered and not on the disk for, ms (p99)", _quantile(late, 0.99),
                   WITHIN_MS * others.slower + 2 * (added + others.p99)),


def _late_ms(ledger: Ledger, safe: dict[str, float]) -> list[float]:
    """How much later than its answer's last byte each call was safe (negative: before), those before the cut's edge."""
    ends = [call.ended for call in ledger.calls.values() if call.outcome == "answered"]
    edge = max(ends) - 0.2  # what the cut itself left unsynced is what is missing, and is counted as that
    return [1e3 * (safe.get(f'"{call.id}"', float("inf")) - call.ended) for call in ledger.calls.values()
            if call.outcome == "answered" and call.ended < edge]
