"""CPU for each request with two workers against one: `python benchmarks/workers.py`.

Two workers get twice the requests, so that each has the same to do: at less, a worker's turn of the loop serves fewer
requests and costs more for each. Nothing is pinned, as in production. CPU by the scheduler's clock, of relays only.
"""

import statistics
import sys
import tempfile
from pathlib import Path

import processes
import results
from load import wrk

from mcp_weir.store.embedded import EmbeddedPostgres


def cost(database: str, workers: int, rate: float, seconds: float) -> tuple[float, float]:
    """(requests a second, microseconds of relay CPU for each)."""
    with processes.nginx(None) as upstream:
        with processes.everything(None, upstream.port, database, "--workers", str(workers)) as running:
            wrk(running.port, connections=32, seconds=1, core=None, BENCH_RATE=str(rate))
            before = running.cpu_ms_of(b"relay")
            load = wrk(running.port, connections=32, seconds=seconds, core=None, BENCH_RATE=str(rate))
            return load.rate, (running.cpu_ms_of(b"relay") - before) * 1000 / load.requests


def main() -> int:
    """Print what came out."""
    parser = results.parser("CPU for each request with two workers against one.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--rate", type=float, default=1000, help="requests a second for each worker")
    args = parser.parse_args()
    runs: dict[int, list[tuple[float, float]]] = {1: [], 2: []}
    with tempfile.TemporaryDirectory() as home:
        postgres = EmbeddedPostgres(Path(home))
        database = postgres.start()
        for _ in range(args.rounds):
            for workers, of in runs.items():
                of.append(cost(database, workers, workers * args.rate, args.seconds))
        postgres.stop()
    one, two = (statistics.median(cpu for _, cpu in runs[workers]) for workers in (1, 2))
    found = {
        "rate_each": args.rate, "reached_one": round(statistics.median(rate for rate, _ in runs[1])),
        "reached_two": round(statistics.median(rate for rate, _ in runs[2])),
        "cpu_us_one": round(one, 1), "cpu_us_two": round(two, 1), "ratio": round(two / one, 3),
    }
    return results.say("workers", found, args.keep)


if __name__ == "__main__":
    sys.exit(main())
