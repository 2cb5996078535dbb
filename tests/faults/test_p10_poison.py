"""P10: poison is forwarded as it came, recorded or quarantined, and blocks no neighbour."""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator

import psycopg
import pytest

from faults.lab import poison
from faults.lab.http import CutShort
from faults.lab.load import Connection
from faults.lab.mirror import Mirror
from faults.lab.records import query, settled_coverage
from faults.lab.table import at_least, at_most, judge
from faults.lab.weir import Weir, running

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
NEIGHBOUR = b'{"jsonrpc":"2.0","id":"neighbour-%d","method":"tools/call","params":{"name":"neighbour","arguments":{}}}'


@contextlib.asynccontextmanager
async def before_a_mirror(postgres, home, **settings: object) -> AsyncIterator[tuple[Mirror, Weir, str]]:
    """A weir before an upstream that answers with what it was sent."""
    url = postgres.url(postgres.database())
    async with Mirror().serve() as mirror:
        with running(mirror.port, url, home, **settings) as weir:
            yield mirror, weir, url


async def _pass(mirror: Mirror, port: int, name: str, body: bytes, kind: str) -> tuple[bool, bool]:
    """One body through; returns (it arrived as it was sent, it came back as it was sent)."""
    connection = Connection(port)
    label = f"{hashlib.sha256(name.encode()).hexdigest()[:16]}-{kind[:4]}"
    try:
        await connection.send(body, fields=f"X-Id: {label}\r\nX-Answer: {kind}\r\n")
        head, answer = await connection.answer()
    except (CutShort, OSError):
        return mirror.seen.get(label) == hashlib.sha256(body).hexdigest(), False
    finally:
        connection.abort()
    back = body if kind == "application/json" else None
    arrived = mirror.seen.get(label) == hashlib.sha256(body).hexdigest()
    return arrived and mirror.times[label] == 1, head.status == 200 and back in (None, answer)


async def _through(mirror: Mirror, weir: Weir, cases: dict[str, bytes], kind: str) -> dict[str, list[str]]:
    """Every case with a good call beside it, eight at a time; returns the names of what was altered, by which way."""
    altered: dict[str, list[str]] = {"request": [], "answer": []}
    turn = asyncio.Semaphore(8)

    async def one(number: int, name: str, body: bytes) -> None:
        async with turn:
            there, back = await _pass(mirror, weir.port, name, body, kind)
            await _pass(mirror, weir.port, f"neighbour {number}", NEIGHBOUR % number, "application/json")
        altered["request"] += [] if there else [name]
        altered["answer"] += [] if back else [name]

    await asyncio.gather(*(one(number, name, body) for number, (name, body) in enumerate(cases.items())))
    return altered


async def _recorded_neighbours(url: str, count: int) -> int:
    """Neighbours with a row; waits until all are there, 60 s at most."""
    found = 0
    for _ in range(300):
        with contextlib.suppress(psycopg.Error):
            sql = "SELECT count(DISTINCT jsonrpc_id) FROM weir.requests WHERE target = 'neighbour'"
            found = query(url, sql)[0][0]
            if found >= count:
                break
        await asyncio.sleep(0.2)
    return found


@pytest.mark.parametrize("kind", ["application/json", pytest.param("text/event-stream", marks=pytest.mark.full)])
@pytest.mark.parametrize("corpus", ["json_test_suite", "postgres_poisons", "answer_poisons"])
async def test_poison(postgres, tmp_path, corpus: str, kind: str) -> None:
    cases = getattr(poison, corpus)()
    async with before_a_mirror(postgres, tmp_path, capture="full", keep_session_ids="true") as (mirror, weir, url):
        altered = await _through(mirror, weir, cases, kind)
        neighbours = await _recorded_neighbours(url, len(cases))
        total = await settled_coverage(url)
        quarantined = query(url, "SELECT count(*) FROM weir.quarantine")[0][0]
        judge(
            "P10", f"{corpus.replace('_', ' ')} as request and as answer, {kind}",
            at_most("requests altered", len(altered["request"]), 0),
            at_most("answers altered", len(altered["answer"]), 0),
            at_most("neighbours missing", len(cases) - neighbours, 0),
            at_most("seen - stored - quarantined",
                    abs(total["seen"] - total["stored"] - total["quarantined"] - total["dropped"]), 0),
            at_least("seen", total["seen"], 2 * len(cases)),
            bites={"cases": len(cases)}, notes=f"{quarantined} quarantined",
            about=f"{altered} {total} {weir.log.read_text()[-1500:]}",
        )
