"""P4, P11: clients that a router has swallowed. They hear nothing and say nothing; others do not notice them."""

import asyncio

import pytest

from faults.lab import processes
from faults.lab.load import Call, Connection, Ledger, perform, steady
from faults.lab.machine import unrest
from faults.lab.records import about, compare, drained, query
from faults.lab.table import at_most, judge
from faults.lab.toxic import ToxicProxy

pytestmark = [pytest.mark.faults, pytest.mark.full, pytest.mark.timeout(600)]
COUNT, OTHERS_RATE, ADDED_MS = 100, 50, 100.0


async def test_a_blackhole_between_clients_and_relay(laboratory) -> None:
    async with laboratory() as lab, ToxicProxy(lab.weir.port).serve() as road:
        await asyncio.sleep(4)  # the first call's pooled connection is gone
        before = processes.sockets(lab.weir.relay)
        swallowed = Ledger({f"s{n}": Call(f"s{n}", f"n{n}", 0.0) for n in range(COUNT)})
        lanes = [asyncio.create_task(perform(Connection(road.port), call, "sleep", seconds=2))
                 for call in swallowed.calls.values()]
        while not all(lab.upstream.executed[key] for key in swallowed.calls):
            await asyncio.sleep(0.05)
        road.toxics.blackhole = True
        with unrest() as machine:
            others, direct = await asyncio.gather(
                steady(lab.weir.port, OTHERS_RATE, 6, ledger=Ledger()),
                steady(lab.upstream.port, OTHERS_RATE, 6, ledger=Ledger(), prefix="direct"),
            )
        silent = swallowed.count("sent")
        road.reset()
        await asyncio.gather(*lanes)
        await drained(lab.url, others)
        for _ in range(20):
            if (more := processes.sockets(lab.weir.relay) - before) <= 0:
                break
            await asyncio.sleep(0.5)
        found = compare(lab.url, others)
        rows = dict(query(lab.url, "SELECT jsonrpc_id, count(*) FROM weir.requests WHERE target = 'sleep'"
                                   " AND outcome <> 'running' GROUP BY 1"))
        judge(
            "P4", f"{COUNT} clients behind a blackhole while they wait for their answers",
            at_most("others failed", len(others.calls) - others.count("answered"), 0),
            at_most("others' p99 beyond that of direct calls, ms",
                    max(0.0, others.latency_ms(0.99) - direct.latency_ms(0.99)), ADDED_MS + 2 * machine.p99),
            at_most("executed twice", sum(n > 1 for n in lab.upstream.executed.values()), 0),
            at_most("swallowed calls without one row", sum(rows.get(key, 0) != 1 for key in swallowed.ids()), 0),
            at_most("missing", len(found.missing), 0), at_most("descriptors more than before", max(0, more), 0),
            bites={"clients that heard nothing": silent, "segments swallowed": road.bites["swallowed"]},
            about=f"{swallowed.troubles()} {others.troubles()} {about(lab.url, found)}",
        )
