"""P8: a worker killed with -9 loses nothing whose last byte a client has had; what was running says `interrupted`."""

import asyncio
import json
import signal
import time

import pytest

from faults.lab import processes
from faults.lab.load import Call, Ledger, once, steady
from faults.lab.records import about, compare, drained, query, settled_coverage
from faults.lab.table import at_least, at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
WORKERS = 4  # the supervisor waits longer after each death of a worker; four take turns
RATE = 300
STEADY_S = 1.5  # an exchange that has run for so long must have been opened in the spool (0.1 s, on a free machine)


async def _slow(port: int, ledger: Ledger, until: float) -> None:
    """Calls of 3 s, one after another: most of them meet a kill on their way."""
    number = 0
    while time.monotonic() < until:
        call = Call(f"slow-{id(ledger)}-{len(ledger.calls)}-{number}", f"s{number}", time.monotonic())
        ledger.calls[call.id] = call
        number += 1
        await once(port, call, "sleep", seconds=3)
        await asyncio.sleep(0.1)


async def _kills(lab, count: int) -> int:
    """One worker after another, never two at once; returns how many were hit."""
    killed = 0
    for _ in range(count):
        alive = [pid for pid in lab.weir.pids("relay") if processes.sockets(pid) > 3]
        if alive:
            killed += processes.send(signal.SIGKILL, alive[0])
        await asyncio.sleep(0.7)
    return killed


async def _outcomes(url: str, interrupted: list[object]) -> dict[str, str]:
    """Outcome by id, once all of these say `interrupted` or 10 s have passed."""
    until = time.monotonic() + 10
    while True:
        outcome = dict(query(url, "SELECT jsonrpc_id, outcome FROM weir.requests"))
        late = [key for key in interrupted if outcome.get(json.dumps(key)) != "interrupted"]
        if not late or time.monotonic() > until:
            return outcome
        await asyncio.sleep(0.2)


async def _killed(lab, count: int) -> None:
    seconds = count * 0.7 + 2
    fast, slow = Ledger(), Ledger()
    load = asyncio.create_task(steady(lab.weir.port, RATE, seconds, ledger=fast))
    until = time.monotonic() + seconds - 4
    slows = [asyncio.create_task(_slow(lab.weir.port, slow, until)) for _ in range(8)]
    await asyncio.sleep(1)
    killed = await _kills(lab, count)
    await asyncio.gather(load, *slows)
    await drained(lab.url, fast, slow)
    total = await settled_coverage(lab.url)
    found = compare(lab.url, fast, slow)
    broken = [c for c in slow.calls.values() if c.outcome == "broken" and lab.upstream.executed[c.id]]
    # since the upstream had it: before that it may have waited for a worker, unseen by any
    executed = [c.id for c in broken if c.ended - lab.upstream.came[c.id] > STEADY_S]
    outcome = await _outcomes(lab.url, executed)
    silent = [key for key in executed if outcome.get(json.dumps(key)) != "interrupted"]
    wrong = fast.count("wrong") + slow.count("wrong")
    twice = [key for key, n in lab.upstream.executed.items() if n > 1]
    judge(
        "P8", f"kill -9 of a worker under {RATE} req/s",
        at_most("missing", len(found.missing), 0), at_most("duplicates", len(found.duplicates), 0),
        at_most("running calls not interrupted", len(silent), 0), at_most("wrong answers", wrong, 0),
        at_most("seen - stored - dropped", abs(total["seen"] - total["stored"] - total["dropped"]), 0),
        at_most("executed twice", len(twice), 0),
        at_least("calls answered", fast.count("answered"), 0.8 * len(fast.calls)),
        bites={"kill -9": killed, "calls broken": fast.count("broken") + slow.count("broken"),
               "interrupted rows": sum(value == "interrupted" for value in outcome.values())},
        about=f"{fast.troubles()} {silent[:5]} {twice} {about(lab.url, found)} {lab.weir.log.read_text()[-1500:]}",
    )


@pytest.mark.short
async def test_fifteen_kills(laboratory) -> None:
    async with laboratory(workers=WORKERS) as lab:
        await _killed(lab, 15)


@pytest.mark.full
async def test_thirty_kills_with_postgres_away(laboratory) -> None:
    async with laboratory(workers=WORKERS) as lab:
        lab.wire.toxics.blackhole = True
        asyncio.get_running_loop().call_later(18, _heal, lab)
        await _killed(lab, 30)


def _heal(lab) -> None:
    lab.wire.toxics.blackhole = False
    lab.wire.reset()
