"""P15: one client's answer is never another's, though all of them use the same ids at the same time."""

import asyncio
import collections
import random

import pytest

from faults.lab.load import Call, Connection, perform
from faults.lab.records import query
from faults.lab.table import at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
CLIENTS, CALLS = 50, 40


async def _client(port: int, number: int) -> list[Call]:
    """Ids 0, 1, 2 ... as every client counts them; nonces of its own; three calls at a time, on own connections."""
    dice = random.Random(number)
    calls = [Call(count, f"{number}/{count}", 0.0) for count in range(CALLS)]
    lanes = [Connection(port, headers=[("Mcp-Session-Id", f"session-{number}")]) for _ in range(3)]

    async def lane(connection: Connection, mine: list[Call]) -> None:
        for call in mine:
            await perform(connection, call, "sleep", seconds=dice.uniform(0, 0.05))
        connection.abort()

    await asyncio.gather(*(lane(connection, calls[part::3]) for part, connection in enumerate(lanes)))
    return calls


async def test_equal_ids_interleaved(laboratory) -> None:
    async with laboratory(workers=2) as lab:
        everyone = await asyncio.gather(*(_client(lab.weir.port, number) for number in range(CLIENTS)))
        calls = [call for mine in everyone for call in mine]
        for _ in range(300):
            rows = query(
                lab.url, "SELECT session_key, jsonrpc_id FROM weir.requests WHERE outcome = 'ok' AND target = 'sleep'"
            )
            if len(rows) >= len(calls):
                break
            await asyncio.sleep(0.2)
        sessions = collections.Counter(row[0] for row in rows)
        repeated = sum(count > 1 for count in collections.Counter(rows).values())
        judge(
            "P15", f"{CLIENTS} clients with equal ids, three calls each at a time, two workers",
            at_most("answers of another", sum(call.outcome == "wrong" for call in calls), 0),
            at_most("failed", sum(call.outcome != "answered" for call in calls), 0),
            at_most("rows missing", len(calls) - len(rows), 0),
            at_most("rows in another's session", sum(abs(n - CALLS) for n in sessions.values()) + repeated, 0),
            bites={"calls": len(calls), "clients that used id 7": sum(call.id == 7 for call in calls)},
        )
