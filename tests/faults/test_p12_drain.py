"""P12: SIGTERM drains. Requests finish, streams end between events, records are safe; a second signal ends at once."""

import asyncio
import json
import signal
import time

import pytest

from faults.lab import processes
from faults.lab.http import CutShort
from faults.lab.load import Call, Connection, Ledger, once, request, steady
from faults.lab.machine import unrest
from faults.lab.records import about, compare, drained
from faults.lab.table import at_most, judge
from faults.lab.weir import running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
REQUESTS, STREAMS = 200, 100
DRAIN_S = 8
IDLE_CLOSED = 32  # each of the clients' sixteen may be closed under its next call, at either hand-over
END_S = 2  # for processes to end after that: a busy machine takes its time
AT_ONCE_S = 5  # where the drain timeout, which would have to pass otherwise, is 25


async def _stream(port: int, number: int) -> str:
    """Read a stream to its end: `clean`, `torn` (inside an event, or no clean end) or `refused`."""
    connection = Connection(port)
    await connection.send(request(f"stream-{number}", "n", "stream", events=3000, interval=0.02))
    head = await connection.answer_head()
    if head.status != 200:
        return "refused"
    expected = 0
    try:
        async for event in connection.each_event(head):
            said = json.loads(event.partition(b"data: ")[2])
            if "params" in said and said["params"]["progress"] != expected:
                return "torn"
            expected += 1
    except (CutShort, ValueError):
        return "torn"
    finally:
        connection.abort()
    return "clean"


async def _refused_later(port: int) -> bool:
    """After the drain began, a new connection is refused or gets an answer: never silence."""
    call = Call("late", "n", 0.0)
    try:
        await asyncio.wait_for(once(port, call), 5)
    except TimeoutError:
        return False
    return call.outcome in ("broken", "refused", "answered")


async def _executing(lab, ids: list[object]) -> None:
    """Wait until the upstream has every one of these."""
    for _ in range(300):
        if all(lab.upstream.executed[call_id] for call_id in ids):
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not all of them reached the upstream")


async def _new_workers(lab, before: set[int]) -> set[int]:
    """The workers that are not among these, once there are two that serve; fewer when 20 s have passed."""
    handed = b"supervisor.handed_over"
    for _ in range(200):
        new = set(lab.weir.pids("relay")) - before
        if len(new) >= 2 and lab.weir.log.read_bytes().count(handed) >= len(before):
            return new
        await asyncio.sleep(0.1)
    return new


async def test_sigterm_drains(laboratory, tmp_path) -> None:
    async with laboratory(drain_timeout=f"{DRAIN_S}s") as lab:
        ledger = Ledger({f"r{n}": Call(f"r{n}", "n", 0.0) for n in range(REQUESTS)})
        calls = [
            asyncio.create_task(once(lab.weir.port, call, "sleep", seconds=3))
            for call in ledger.calls.values()
        ]
        streams = [asyncio.create_task(_stream(lab.weir.port, number)) for number in range(STREAMS)]
        await _executing(lab, [*ledger.calls, *(f"stream-{number}" for number in range(STREAMS))])
        began = time.monotonic()
        still = ledger.count("sent")
        with unrest() as others:
            lab.weir.process.send_signal(signal.SIGTERM)
            await asyncio.sleep(0.3)
            silence = not await _refused_later(lab.weir.port)
            code = await asyncio.to_thread(lab.weir.process.wait, 60)
            took = time.monotonic() - began
        await asyncio.gather(*calls)
        ends = await asyncio.gather(*streams)
        with running(lab.upstream.port, lab.url, tmp_path / "again", data=lab.weir.data):
            await drained(lab.url, ledger)
            found = compare(lab.url, ledger)
        judge(
            "P12", f"SIGTERM with {REQUESTS} requests and {STREAMS} streams running",
            at_most("requests not answered", len(ledger.calls) - ledger.count("answered"), 0),
            at_most("streams torn", ends.count("torn"), 0), at_most("exit code", code, 0),
            at_most("took s", took, DRAIN_S + END_S * others.slower),
            at_most("late clients met by silence", silence, 0),
            at_most("missing after the restart", len(found.missing), 0),
            at_most("duplicates", len(found.duplicates), 0),
            bites={"requests running": still, "streams ended": ends.count("clean")},
            about=f"{ledger.troubles()} {about(lab.url, found)} {lab.weir.log.read_text()[-1500:]}",
        )


async def _load(lab, ledger: Ledger, slow: Ledger, over: asyncio.Event) -> None:
    """Calls, quick and slow, until it is over and 3 s more at most."""
    turn = 0
    while not over.is_set():
        turn += 1
        await asyncio.gather(
            steady(lab.weir.port, 150, 3, ledger=ledger, prefix=f"c{turn}"),
            steady(lab.weir.port, 10, 3, ledger=slow, prefix=f"slow{turn}", tool="sleep", seconds=1),
        )


async def test_hand_over(laboratory) -> None:
    async with laboratory(workers=2) as lab:
        ledger, slow, seen = Ledger(), Ledger(), set(lab.weir.pids("relay"))
        over = asyncio.Event()
        load = asyncio.create_task(_load(lab, ledger, slow, over))
        for _ in range(2):
            await asyncio.sleep(1.5)
            lab.weir.process.send_signal(signal.SIGHUP)
            seen |= await _new_workers(lab, seen)
        over.set()
        await load
        failed = [c for x in (ledger, slow) for c in x.calls.values() if c.outcome != "answered"]
        begun = [c for c in failed if lab.upstream.executed[c.id]]
        await drained(lab.url, ledger, slow)
        found = compare(lab.url, ledger, slow)
        judge(
            "P12", "SIGHUP twice: every worker hands over to a new one under load",
            at_most("failed on a new connection", sum(not call.reused for call in failed), 0),
            at_most("failed after the upstream had it", len(begun), 0),
            at_most("failed on an idle connection that was just closed (RFC 9112 9.5)", len(failed), IDLE_CLOSED),
            at_most("missing", len(found.missing), 0), at_most("duplicates", len(found.duplicates), 0),
            bites={"workers that came after the first two": len(seen) - 2, "calls": len(ledger.calls)},
            about=f"{ledger.troubles()} {slow.troubles()} {about(lab.url, found)} {lab.weir.log.read_text()[-1500:]}",
        )


async def test_a_second_sigterm_ends_at_once_and_what_was_spooled_is_kept(laboratory, tmp_path) -> None:
    async with laboratory() as lab:
        lab.wire.toxics.blackhole = True
        ledger = Ledger({f"r{n}": Call(f"r{n}", "n", 0.0) for n in range(100)})
        for call in ledger.calls.values():
            await once(lab.weir.port, call)
        waiting = Ledger({f"w{n}": Call(f"w{n}", "n", 0.0) for n in range(50)})
        running_calls = [
            asyncio.create_task(once(lab.weir.port, call, "sleep", seconds=30))
            for call in waiting.calls.values()
        ]
        await _executing(lab, list(waiting.calls))
        await asyncio.sleep(0.5)  # and they are opened in the spool
        everyone = [pid for part in ("relay", "recorder") for pid in lab.weir.pids(part)]
        lab.weir.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        began = time.monotonic()
        with unrest() as others:
            lab.weir.process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(lab.weir.process.wait, 60)
            took = time.monotonic() - began
        await asyncio.gather(*running_calls)
        left = [pid for pid in everyone if processes.send(signal.SIGKILL, pid)]
        lab.wire.toxics.blackhole = False
        with running(lab.upstream.port, lab.url, tmp_path / "again", data=lab.weir.data):
            await drained(lab.url, ledger)
            for _ in range(100):
                found = compare(lab.url, ledger)
                if found.outcomes["interrupted"] >= len(waiting.calls):
                    break
                await asyncio.sleep(0.2)
        judge(
            "P12", "two SIGTERMs with 50 requests running and Postgres away; then started again",
            at_most("took s", took, AT_ONCE_S * min(others.slower, 3)), at_most("processes left", len(left), 0),
            at_most("missing after the restart", len(found.missing), 0),
            at_most("duplicates", len(found.duplicates), 0),
            bites={"processes": len(everyone), "requests cut": waiting.count("broken"),
                   "interrupted rows": found.outcomes["interrupted"]},
            about=f"{about(lab.url, found)} {lab.weir.log.read_text()[-1500:]}",
        )
