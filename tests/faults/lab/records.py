"""What the database says, read through the public views, held against what the load generator knows."""

import asyncio
import collections
import dataclasses
import json
import time

import psycopg

from faults.lab.load import Ledger

# every request that is over, but for the laboratory's own first one
_FINAL = "FROM weir.requests WHERE outcome <> 'running' AND method IS NOT NULL AND jsonrpc_id <> '\"first\"'"


@dataclasses.dataclass(frozen=True, slots=True)
class Verdict:
    """`missing`: ids a client was answered for and that have no final row; `duplicates`: ids with more than one."""

    missing: set[str]
    duplicates: set[str]
    outcomes: collections.Counter[str]


def query(url: str, sql: str) -> list[tuple]:
    """Rows of one statement."""
    with psycopg.connect(url, autocommit=True, connect_timeout=5) as conn:
        return conn.execute(sql).fetchall()


def final_rows(url: str) -> list[tuple[str, str]]:
    """(jsonrpc_id, outcome) of every request that is over."""
    return query(url, f"SELECT jsonrpc_id, outcome {_FINAL}")


def compare(url: str, *ledgers: Ledger, outcomes: tuple[str, ...] = ("answered",)) -> Verdict:
    """The final rows against these ledgers."""
    return _against(_ids(ledgers, *outcomes), url)


async def drained(url: str, *ledgers: Ledger, within: float = 90) -> float:
    """Seconds until every call that has been answered by now has its final row; `within` when one never came.

    The ids are asked for only once the count suffices: rows of broken calls count too, so that it alone proves nothing.
    """
    must = _ids(ledgers, "answered")  # as of now, taken by the thread that fills it
    start = time.monotonic()
    while time.monotonic() - start < within:
        asked = time.monotonic()
        try:
            ((found,),) = await asyncio.to_thread(query, url, f"SELECT count(*) {_FINAL}")
            if found >= len(must) and not (await asyncio.to_thread(_against, must, url)).missing:
                break
        except psycopg.Error:
            pass  # not there yet, or no schema yet
        await asyncio.sleep(max(0.1, 5 * (time.monotonic() - asked)))  # the judge takes no core from the judged
    return time.monotonic() - start


def _ids(ledgers: tuple[Ledger, ...], *outcomes: str) -> set[str]:
    return set().union(*(ledger.ids(*outcomes) for ledger in ledgers))


def _against(must: set[str], url: str) -> Verdict:
    rows = final_rows(url)
    seen = collections.Counter(row[0] for row in rows)
    return Verdict(
        must - seen.keys(), {key for key, n in seen.items() if n > 1}, collections.Counter(row[1] for row in rows)
    )


def about(url: str, verdict: Verdict) -> str:
    """What the views do say of the first missing and duplicate ids: where to start looking."""
    named = [*sorted(verdict.missing)[:3], *sorted(verdict.duplicates)[:3]]
    rows = query(url, "SELECT jsonrpc_id, outcome, started_at::text, instance FROM weir.requests")
    return f"missing {sorted(verdict.missing)[:10]}; rows {[row for row in rows if row[0] in named]}; {coverage(url)}"


def coverage(url: str) -> dict[str, int]:
    """Totals of weir.coverage: seen, stored, spooled, quarantined and dropped (all reasons together)."""
    rows = query(url, "SELECT seen, stored, spooled, quarantined, dropped::text FROM weir.coverage")
    total = dict.fromkeys(("seen", "stored", "spooled", "quarantined", "dropped"), 0)
    for seen, stored, spooled, quarantined, dropped in rows:
        for name, value in zip(total, (seen, stored, spooled, quarantined, _sum(json.loads(dropped))), strict=True):
            total[name] += int(value or 0)
    return total


async def settled_coverage(url: str) -> dict[str, int]:
    """Coverage once it adds up or its figures stand still for 6 s: they are written every few seconds."""
    now, still = coverage(url), 0
    while still < 3 and now["seen"] != now["stored"] + now["dropped"] + now["quarantined"]:
        await asyncio.sleep(2)
        before, now = now, coverage(url)
        still = still + 1 if now == before else 0
    return now


def _sum(said: object) -> int:
    if isinstance(said, dict):
        return sum(_sum(value) for value in said.values())
    if isinstance(said, list):
        return sum(_sum(value) for value in said)
    return int(said) if isinstance(said, int | float) else 0
