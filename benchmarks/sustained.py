"""The highest rate at which the backlog stays flat, all on two cores: `python benchmarks/sustained.py`.

Load, upstream, relay, recorder and Postgres share the machine; nothing is pinned. The load is open: so many requests a
second, whatever the answers do. The backlog is what the spool holds beyond the positions that Postgres has committed.
"""

import contextlib
import dataclasses
import json
import os
import sys
import tempfile
import threading
import time
from pathlib import Path

import processes
import psycopg
import results
from load import Load, wrk

from mcp_weir.store.embedded import EmbeddedPostgres

GROWTH_S = 0.5  # seconds of traffic by which the backlog's lowest may differ between two thirds of a run
WAITING_S = 3.0  # seconds of traffic that may wait in the end
SAMPLE_S = 0.5


@dataclasses.dataclass(frozen=True, slots=True)
class Sample:
    """A look at the spool: seconds, bytes written so far, bytes of them that are not committed."""

    at: float
    written: int
    waiting: int


def look(spool: Path, conn: psycopg.Connection, began: float) -> Sample:
    """What the ledger has, against the files."""
    rows = conn.execute("SELECT segment::text, offset_bytes FROM weir.segments").fetchall()
    committed = {str(segment): int(offset) for segment, offset in rows}
    waiting = 0
    for path in spool.glob("*/*.seg"):
        with contextlib.suppress(FileNotFoundError), path.open("rb") as file:
            name = json.loads(file.readline()[9:])["segment"]
            waiting += max(0, os.fstat(file.fileno()).st_size - committed.get(name, 0))
    return Sample(round(time.monotonic() - began, 1), sum(committed.values()) + waiting, waiting)


def watch(spool: Path, database: str, done: threading.Event, seen: list[Sample]) -> None:
    """Samples until `done`."""
    began = time.monotonic()
    with psycopg.connect(database, autocommit=True) as conn:
        while not done.wait(SAMPLE_S):
            seen.append(look(spool, conn, began))


def attempt(rate: float, seconds: float) -> tuple[Load, list[Sample]]:
    """Everything anew at this rate."""
    seen: list[Sample] = []
    done = threading.Event()
    said = {"BENCH_RATE": str(rate), "BENCH_SESSIONS": "1000"}
    with tempfile.TemporaryDirectory() as home:
        postgres = EmbeddedPostgres(Path(home))
        database = postgres.start()
        try:
            with processes.nginx(None) as upstream, processes.everything(None, upstream.port, database) as running:
                assert running.home is not None
                wrk(running.port, connections=64, seconds=3, core=None, **said)
                watcher = threading.Thread(target=watch, args=(running.home / "spool", database, done, seen))
                watcher.start()
                load = wrk(running.port, connections=64, seconds=seconds, core=None, **said)
                done.set()
                watcher.join(10)
        finally:
            postgres.stop()
    return load, seen


def waits(seen: list[Sample]) -> list[float]:
    """The backlog of each sample in seconds of traffic."""
    a_second = (seen[-1].written - seen[0].written) / (seen[-1].at - seen[0].at)
    return [round(sample.waiting / a_second, 2) for sample in seen]


def flat(waiting: list[float]) -> bool:
    """The last third holds what the middle third held, at their lowest: the recorder works in batches of a second."""
    third = len(waiting) // 3
    middle, last = min(waiting[third : 2 * third]), min(waiting[2 * third :])
    return last - middle <= GROWTH_S and last <= WAITING_S


def main() -> int:
    """Print what came out."""
    parser = results.parser("The highest rate at which the backlog stays flat.")
    parser.add_argument("--rates", default="500,1000,1500,2000,2500,3000,4000,5000,6000,8000")
    parser.add_argument("--seconds", type=float, default=15)
    args = parser.parse_args()
    highest, runs = 0.0, []
    for rate in map(float, args.rates.split(",")):
        load, seen = attempt(rate, args.seconds)
        waiting = waits(seen)
        good = flat(waiting) and load.rate >= 0.97 * rate and not load.failed
        runs.append({
            "rate": rate, "reached": round(load.rate), "p50_ms": load.p50_ms, "p99_ms": load.p99_ms,
            "failed": load.failed, "flat": good, "at_s": [sample.at for sample in seen], "waiting_s": waiting,
        })
        print(f"{rate:.0f}/s: reached {load.rate:.0f}, p99 {load.p99_ms:.1f} ms, waiting {waiting[-1]} s of traffic, "
              f"flat: {good}", file=sys.stderr)
        if not good:
            break
        highest = rate
    return results.say("sustained", {"highest_flat_per_s": highest, "runs": runs}, args.keep)


if __name__ == "__main__":
    sys.exit(main())
