"""How the weir's cost grows: `python benchmarks/growth.py [--only connections,bodies,sessions,length,history]`.

The weir, recording, has core 1; wrk and nginx share core 0, and nginx as a proxy is measured beside it where it has
such a curve. A point is the median of the rounds. `history` is the recorder's: rows a second over what is stored.
"""

import statistics
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import history
import processes
import psycopg
import results
from load import wrk
from processes import Contestant

import recorder
from mcp_weir.store import migrate
from mcp_weir.store.embedded import EmbeddedPostgres

CORE, OTHER = 1, 0
BATCH = 20_000  # requests that the recorder drains for a point
CONTESTANTS: dict[str, Contestant] = {
    "weir": lambda core, port: processes.weir(core, port),
    "nginx": lambda core, port: processes.nginx(core, port),
}
Curve = dict[str, list[list[float]]]


def curve(points: list[int], rounds: int, seconds: float, said: Callable[[int], dict[str, str]], *,
          connections: Callable[[int], int] = lambda _: 32) -> Curve:
    """(point, requests a second, CPU us of each) of each contestant."""
    found: Curve = {}
    for name, contestant in CONTESTANTS.items():
        found[name] = []
        for point in points:
            rates, costs = [], []
            for _ in range(rounds):
                with processes.nginx(OTHER) as upstream, contestant(CORE, upstream.port) as running:
                    many = connections(point)
                    wrk(running.port, connections=many, seconds=1, core=OTHER, **said(point))
                    before = running.cpu_s()
                    took = seconds + many / 250  # opening a thousand connections takes a while, too
                    load = wrk(running.port, connections=many, seconds=took, core=OTHER, **said(point))
                    rates.append(load.rate)
                    costs.append((running.cpu_s() - before) / max(1, load.requests) * 1e6)
            found[name].append([point, round(statistics.median(rates)), round(statistics.median(costs), 1)])
            print(name, found[name][-1], file=sys.stderr)
    return found


def connections(rounds: int, seconds: float) -> Curve:
    """Requests a second over open connections, all of them busy."""
    return curve([1, 3, 10, 32, 100, 300, 1000], rounds, seconds, lambda _: {}, connections=lambda point: point)


def bodies(rounds: int, seconds: float) -> Curve:
    """Over the bytes of a request's arguments."""
    sizes = [0, 1 << 10, 4 << 10, 16 << 10, 64 << 10, 256 << 10, 1 << 20]
    return curve(sizes, rounds, seconds, lambda size: {"BENCH_BODY": str(size)}, connections=lambda _: 8)


def sessions(rounds: int, seconds: float) -> Curve:
    """Over live legacy sessions, whose calls take turns."""
    return curve([1, 10, 100, 1000, 10_000, 100_000], rounds, seconds, lambda many: {"BENCH_SESSIONS": str(many)})


def length(rounds: int, seconds: float) -> Curve:
    """One session that goes on and on: requests a second after so many requests."""
    found = []
    with processes.nginx(OTHER) as upstream, processes.weir(CORE, upstream.port) as running:
        total = 0
        for _ in range(max(6, rounds * 3)):
            before = running.cpu_s()
            load = wrk(running.port, connections=32, seconds=seconds * 2, core=OTHER, BENCH_SESSIONS="1")
            total += load.requests
            found.append([total, round(load.rate), round((running.cpu_s() - before) / load.requests * 1e6, 1)])
    return {"weir": found}


def stored(rounds: int, seconds: float) -> Curve:
    """Rows a second of the recorder, and its CPU us for each, over the requests in the database before."""
    return {"weir": [recorded(many, rounds) for many in (0, 100_000, 500_000)]}


def recorded(many: int, rounds: int) -> list[float]:
    """One point: a database of its own with so many requests of the last month in it."""
    with tempfile.TemporaryDirectory() as home:
        postgres = EmbeddedPostgres(Path(home))
        url = postgres.start()
        with psycopg.connect(url, autocommit=True) as conn:
            migrate.migrate(conn)
            conn.execute("SET synchronous_commit = off")
            if many:
                history.fill_rows(conn, {"sessions": many // 100, "mean": 100, "tools": 120, "days": 30})
        drained = []
        for number in range(rounds):
            root = Path(home) / f"spool-{number}"
            root.mkdir()
            recorder.fill(root, BATCH, 200)
            drained.append(recorder.drain(url, root, BATCH))
        postgres.stop()
    keys = ("rows_per_s", "recorder_cpu_us_each")
    found = [many, *(statistics.median(one[key] for one in drained) for key in keys)]
    print("history", found, file=sys.stderr)
    return found


CURVES = {"connections": connections, "bodies": bodies, "sessions": sessions, "length": length, "history": stored}


def main() -> int:
    """Print what came out."""
    parser = results.parser("How the weir's cost grows.")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2)
    parser.add_argument("--only", default=",".join(CURVES))
    args = parser.parse_args()
    for name in args.only.split(","):
        results.say(f"growth_{name}", CURVES[name](args.rounds, args.seconds), args.keep)
    return 0


if __name__ == "__main__":
    sys.exit(main())
