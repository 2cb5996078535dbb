"""P4: a client that leaves is told to the upstream within a second; an upstream that dies is no clean end."""

import asyncio
import json
import time

import pytest

from faults.lab import misbehave, processes
from faults.lab.http import CutShort
from faults.lab.load import Connection, request
from faults.lab.machine import unrest
from faults.lab.records import query
from faults.lab.table import at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
COUNT, TOLD_S = 200, 1.0


async def _leave(lab, number: int, kind: str) -> tuple[object, float]:
    """Begin an exchange of this kind, be sure that the upstream has it, leave; returns its id and the moment."""
    call_id = f"{kind}-{number}"
    connection = Connection(lab.weir.port)
    if kind == "get":
        await connection.send(b"", method="GET", fields=f"X-Id: {call_id}\r\n")
    else:
        arguments = {"seconds": 60} if kind == "sleep" else {"events": 600, "interval": 0.1}
        await connection.send(request(call_id, "n", kind, **arguments))
    if kind != "sleep":
        await connection.answer_head()
    while not lab.upstream.executed[call_id]:
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.2)
    connection.abort()
    return call_id, time.monotonic()


async def _descriptors(lab, before: int) -> int:
    """Sockets of the relay that are more than before, once they stand still (its pool keeps some for seconds)."""
    for _ in range(20):
        more = processes.sockets(lab.weir.relay) - before
        if more <= 0:
            break
        await asyncio.sleep(0.5)
    return max(0, more)


@pytest.mark.parametrize(
    "kind", ["sleep", pytest.param("stream", marks=pytest.mark.full), pytest.param("get", marks=pytest.mark.full)]
)
async def test_clients_that_leave(laboratory, kind: str) -> None:
    async with laboratory() as lab:
        await asyncio.sleep(4)  # the first call's pooled connection is gone
        before = processes.sockets(lab.weir.relay)
        with unrest() as others:
            left = dict(await asyncio.gather(*(_leave(lab, number, kind) for number in range(COUNT))))
            for _ in range(100):
                if left.keys() <= lab.upstream.left.keys():
                    break
                await asyncio.sleep(0.1)
        told = {key: lab.upstream.left[key] - at for key, at in left.items() if key in lab.upstream.left}
        more = await _descriptors(lab, before)
        rows = query(lab.url, "SELECT outcome, count(*) FROM weir.requests GROUP BY 1")
        judge(
            "P4", {"sleep": "client leaves a waiting POST", "stream": "client leaves a POST's stream",
                   "get": "client leaves a standing GET stream"}[kind],
            at_most("upstream never told", len(left) - len(told), 0),
            at_most("told, worst s", max(told.values(), default=99.0), TOLD_S + others.worst / 1e3),
            at_most("descriptors more than before", more, 0),
            bites={"disconnects": len(left)}, about=f"{rows} {lab.weir.log.read_text()[-800:]}",
        )


async def _truncated(lab, number: int) -> tuple[bool, bool]:
    """One response cut at some byte; returns (the client saw a clean end, it saw a gateway's error instead)."""
    call_id, framing = f"cut-{number}", ("length", "chunked", "sse")[number % 3]
    size = misbehave.framed_size(call_id, "n", framing)
    after = 1 + number * 7919 % (size - 1)
    connection = Connection(lab.weir.port)
    await connection.send(request(call_id, "n", "cut", framing=framing, after=after, reset=number % 2))
    try:
        head = await connection.answer_head()
        if head.status == 502:
            return False, json.loads((await connection.parts(head))[-1])["error"] is not None
        await connection.parts(head)
        return True, False
    except CutShort:
        return False, False
    finally:
        connection.abort()


async def test_upstreams_that_die(laboratory) -> None:
    async with laboratory() as lab:
        await asyncio.sleep(4)
        before = processes.sockets(lab.weir.relay)
        ends = [await _truncated(lab, number) for number in range(COUNT)]
        more = await _descriptors(lab, before)
        await asyncio.sleep(1)
        ok = query(lab.url, "SELECT count(*) FROM weir.requests WHERE outcome = 'ok' AND jsonrpc_id LIKE '\"cut-%'")
        aborted = query(lab.url, "SELECT count(*) FROM weir.requests WHERE outcome = 'upstream_aborted'")
        judge(
            "P4", "upstream cuts its answer at every sort of byte",
            at_most("clean ends", sum(clean for clean, _ in ends), 0),
            at_most("descriptors more than before", more, 0),
            bites={"truncations": len(ends), "seen by the client as a cut": sum(not c and not g for c, g in ends),
                   "as 502": sum(gateway for _, gateway in ends)},
            notes=f"rows: {aborted[0][0]} upstream_aborted, {ok[0][0]} ok (its result had passed)",
            about=lab.weir.log.read_text()[-800:],
        )
