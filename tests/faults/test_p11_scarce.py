"""P11: a cap on memory or descriptors harms no traffic and loses nothing; who cannot go on is started again."""

import asyncio
import re
import resource
from pathlib import Path

import pytest

from faults.lab import misbehave, processes  # noqa: F401  its tools
from faults.lab.load import Connection, Ledger, request, steady
from faults.lab.records import about, compare, drained, query, settled_coverage
from faults.lab.table import at_least, at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
RATE, MIB = 200, 1 << 20


def _taken(pid: int) -> int:
    """Bytes of writable memory of its own: what RLIMIT_DATA caps. (RLIMIT_AS counts what malloc merely reserves.)"""
    return int(re.findall(r"VmData:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[0]) * 1024


def _cap(pid: int, what: int, at: int) -> None:
    resource.prlimit(pid, what, (at, resource.prlimit(pid, what)[1]))


@pytest.mark.full
async def test_a_recorder_under_a_memory_cap(laboratory) -> None:
    async with laboratory(capture="full") as lab:
        lab.wire.toxics.blackhole = True
        ledger = Ledger()
        (recorder,) = lab.weir.pids("recorder")
        _cap(recorder, resource.RLIMIT_DATA, _taken(recorder))
        load = asyncio.create_task(steady(lab.weir.port, 40, 12, ledger=ledger, padding="x" * 200_000))
        await asyncio.sleep(6)  # a backlog, of which a batch takes tens of megabytes
        lab.wire.toxics.blackhole = False
        lab.wire.reset()
        await load
        took = await drained(lab.url, ledger, within=60)
        total = await settled_coverage(lab.url)
        found = compare(lab.url, ledger)
        said = lab.weir.log.read_bytes()
        bit = said.count(b"MemoryError") + said.count(b"out of memory") + lab.weir.restarts()
        judge(
            "P11", "a recorder that gets no more memory, with a backlog of 48 MB",
            at_most("failed requests", len(ledger.calls) - ledger.count("answered"), 0),
            at_most("missing", len(found.missing), 0), at_most("duplicates", len(found.duplicates), 0),
            at_most("quarantined", total["quarantined"], 0), at_most("drained s", took, 60),
            bites={"calls": len(ledger.calls), "refusals of memory, or restarts": bit},
            notes=f"{lab.weir.restarts()} restart(s)",
            about=f"{total} {ledger.troubles()} {about(lab.url, found)} {said[-2500:].decode()}",
        )


@pytest.mark.full
async def test_a_relay_under_a_memory_cap(laboratory) -> None:
    async with laboratory(workers=2) as lab:
        ledger, hogs = Ledger(), [Connection(lab.weir.port) for _ in range(60)]
        for pid in lab.weir.pids("relay"):
            _cap(pid, resource.RLIMIT_DATA, _taken(pid) + 24 * MIB)
        load = asyncio.create_task(steady(lab.weir.port, RATE, 8, ledger=ledger))
        for number, hog in enumerate(hogs):  # bodies that are read whole, and answers that nobody reads
            body = request(f"hog-{number}", "n", "endless", padding="x" * 3_000_000)
            asyncio.ensure_future(_send(hog, body))
        await load
        for hog in hogs:
            hog.abort()
        after = await steady(lab.weir.port, RATE, 3, ledger=Ledger(), prefix="after")
        await drained(lab.url, ledger, after)
        found = compare(lab.url, ledger, after)
        said = lab.weir.log.read_bytes()
        bit = lab.weir.restarts() + said.count(b"MemoryError")
        failed = [call for call in ledger.calls.values() if call.outcome != "answered"]
        judge(
            "P11", "relays that may take 24 MiB more, and 60 bodies of 3 MB beside endless answers",
            at_most("wrong answers", ledger.count("wrong") + after.count("wrong"), 0),
            at_most("failed afterwards", len(after.calls) - after.count("answered"), 0),
            at_most("missing", len(found.missing), 0), at_most("duplicates", len(found.duplicates), 0),
            at_most("executed twice", sum(n > 1 for n in lab.upstream.executed.values()), 0),
            bites={"calls": len(ledger.calls), "refusals of memory, or restarts": bit},
            notes=f"{len(failed)} calls failed meanwhile, {lab.weir.restarts()} workers restarted,"
            f" {said.count(b'MemoryError')} refusals of memory",
            about=f"{ledger.troubles()} {after.troubles()} {about(lab.url, found)} {said[-2500:].decode()}",
        )


async def _send(hog: Connection, body: bytes) -> None:
    try:
        await hog.send(body)
    except (OSError, TimeoutError):
        hog.abort()


@pytest.mark.full
async def test_a_recorder_without_descriptors(laboratory) -> None:
    async with laboratory() as lab:
        ledger = Ledger()
        (recorder,) = lab.weir.pids("recorder")
        before = resource.prlimit(recorder, resource.RLIMIT_NOFILE)[0]
        load = asyncio.create_task(steady(lab.weir.port, RATE, 10, ledger=ledger))
        await asyncio.sleep(2)
        for spare in (2, 1, 0):  # at every point of its round it finds none
            _cap(recorder, resource.RLIMIT_NOFILE, processes.descriptors(recorder) + spare)
            lab.wire.reset()
            await asyncio.sleep(2)
        segments = [path for path in (lab.weir.data / "spool").glob("*/*.seg")]
        said = lab.weir.log.read_bytes()
        _cap(recorder, resource.RLIMIT_NOFILE, before)
        await load
        await drained(lab.url, ledger)
        total = await settled_coverage(lab.url)
        found = compare(lab.url, ledger)
        open_ = query(lab.url, "SELECT count(*) FROM weir.requests WHERE outcome = 'interrupted'")[0][0]
        judge(
            "P11", "a recorder without a descriptor to open, its connection cut, for 6 s",
            at_most("failed requests", len(ledger.calls) - ledger.count("answered"), 0),
            at_most("missing", len(found.missing), 0), at_most("duplicates", len(found.duplicates), 0),
            at_most("rows said to be interrupted", open_, 0), at_least("segments kept meanwhile", len(segments), 1),
            at_most("seen - stored - dropped", abs(total["seen"] - total["stored"] - total["dropped"]), 0),
            bites={"calls": len(ledger.calls), "trouble said": said.count(b"recorder.retry")},
            notes=f"{lab.weir.restarts()} restart(s)",
            about=f"{total} {ledger.troubles()} {about(lab.url, found)} {lab.weir.log.read_bytes()[-2500:].decode()}",
        )
