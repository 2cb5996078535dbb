"""P14: whoever is forgotten is gone from the tables, from what is pending, queued and spooled, and from the files."""

import asyncio
import os
import subprocess
import sys
import time

import pytest

from faults.lab.canaries import Canaries, call
from faults.lab.load import Connection
from faults.lab.records import query
from faults.lab.table import at_most, judge

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]
SEGMENT_S = 30  # a segment that is asked to end does so with the next heartbeat, and goes with its commit


async def _say(port: int, token: str, word: Canaries, count: int) -> list[str]:
    """Calls of one principal, each with a canary; returns the canaries."""
    connection, said = Connection(port, headers=[("Authorization", f"Bearer {token}")]), []
    for number in range(count):
        said.append(word(f"argument {number} of {token}"))
        await connection.send(call("say", number, nonce="n", text=said[-1]))
        await connection.answer()
    connection.abort()
    return said


async def _rows(url: str, count: int) -> None:
    for _ in range(150):
        if query(url, "SELECT count(*) FROM weir.requests WHERE target = 'say' AND outcome = 'ok'")[0][0] >= count:
            return
        await asyncio.sleep(0.2)


def _keys(url: str, said: list[str]) -> set[bytes]:
    """How the database knows whoever said this: keys of principals and sessions, as text."""
    rows = query(url, "SELECT arguments::text, encode(principal_key, 'hex'), session_key::text FROM weir.requests")
    mine = [row for row in rows if any(canary in (row[0] or "") for canary in said)]
    return {key.encode() for row in mine for key in row[1:] if key is not None}


async def _forget(lab, subject: str) -> subprocess.CompletedProcess[bytes]:
    env = {**os.environ, "WEIR_DATABASE_URL": lab.url, "WEIR_DATA_DIR": str(lab.weir.data),
           "WEIR_UPSTREAM": f"http://127.0.0.1:{lab.upstream.port}/mcp"}
    command = [sys.executable, "-m", "mcp_weir", "db", "forget", subject]
    return await asyncio.to_thread(subprocess.run, command, env=env, capture_output=True, timeout=60)


async def _left_in_spool(lab, said: list[str]) -> int:
    """How many of these its files hold when SEGMENT_S are over, or 0 as soon as they are gone."""
    until = time.monotonic() + SEGMENT_S
    while True:
        data = b"".join(path.read_bytes() for path in (lab.weir.data / "spool").rglob("*.seg") if path.is_file())
        left = sum(canary.encode() in data for canary in said)
        if not left or time.monotonic() > until:
            return left
        await asyncio.sleep(0.5)


def _files(lab, said: list[str]) -> dict[str, int]:
    """How many of these stand in heap, indexes and TOAST, and in the WAL, which is begun anew before."""
    lab.postgres.execute("SELECT pg_switch_wal()")
    found = {"base": set[str](), "WAL": set[str]()}
    for name, data in lab.postgres.files():
        place = "WAL" if "pg_wal/" in name else "base"
        found[place] |= {canary for canary in said if canary.encode() in data}
    return {place: len(words) for place, words in found.items()}


async def test_a_principal_is_forgotten_in_tables_and_in_the_spool(laboratory) -> None:
    async with laboratory(capture="full") as lab:
        word, name = Canaries(), lab.url.rpartition("/")[2]
        kept, erased = await _say(lab.weir.port, "keeper", word, 5), await _say(lab.weir.port, "leaver", word, 5)
        await _rows(lab.url, 10)
        keys, before = _keys(lab.url, erased), await asyncio.to_thread(lab.postgres.dump, name)
        lab.wire.toxics.blackhole = True
        kept += await _say(lab.weir.port, "keeper", word, 5)
        erased += await _say(lab.weir.port, "leaver", word, 5)
        done = await _forget(lab, "Bearer leaver")
        lab.wire.toxics.blackhole = False
        lab.wire.reset()
        await _rows(lab.url, 10)
        spool = await _left_in_spool(lab, erased)
        rest = await asyncio.to_thread(lab.postgres.dump, name, "--exclude-table=weir.tombstones")
        dead = await asyncio.to_thread(_files, lab, erased)
        lab.postgres.execute("VACUUM", name)
        vacuumed = await asyncio.to_thread(_files, lab, erased)
        lab.postgres.execute("VACUUM FULL", name)
        rewritten = await asyncio.to_thread(_files, lab, erased)
        judge(
            "P14", "db forget of one principal, half of it still in the spool",
            at_most("its canaries in the tables", sum(canary.encode() in rest for canary in erased), 0),
            at_most("its keys in the tables, but for the tombstone", sum(key in rest for key in keys), 0),
            at_most(f"its canaries in the spool after {SEGMENT_S} s", spool, 0),
            at_most("its canaries in heap, indexes and TOAST after VACUUM FULL", rewritten["base"], 0),
            at_most("others' canaries lost", sum(canary.encode() not in rest for canary in kept), 0),
            at_most("exit code", done.returncode, 0),
            bites={"canaries stored before": sum(canary.encode() in before for canary in erased),
                   "its keys stored before": sum(key in before for key in keys), "erased": len(erased)},
            notes=f"in the files of heap and TOAST {dead['base']} at once, {vacuumed['base']} after VACUUM; in the WAL"
            f" {dead['WAL']}, {vacuumed['WAL']}, {rewritten['WAL']}: see docs/privacy.md",
            about=f"{done.stdout.decode()} {done.stderr.decode()}",
        )
