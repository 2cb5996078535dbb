"""Requests per second and latency, side by side in one run: `python benchmarks/rates.py [--rounds N] [--seconds S]`.

The contestant has core 1 to itself; wrk and the upstream share core 0. Each round runs every contestant once, in
turn; the figures are medians over the rounds.
"""

import argparse
import dataclasses
import json
import statistics
import sys
import time

import processes
from load import Load, wrk
from processes import Contestant

UPSTREAM_CORE, CORE = 0, 1
CONTESTANTS: dict[str, Contestant] = {
    "direct": processes.direct,
    "nginx": lambda core, port: processes.nginx(core, port),
    "HAProxy": processes.haproxy,
    "weir": lambda core, port: processes.weir(core, port),
    "weir not recording": lambda core, port: processes.weir(core, port, "--record", "off"),
    "plain aiohttp": processes.plain_aiohttp,
    "mitmproxy": processes.mitmproxy,
}


@dataclasses.dataclass(slots=True)
class Figures:
    """What the rounds gave for one contestant."""

    loads: list[Load] = dataclasses.field(default_factory=list)
    cpu_us: list[float] = dataclasses.field(default_factory=list)
    single: list[Load] = dataclasses.field(default_factory=list)

    def summary(self) -> dict[str, float]:
        """Medians."""
        return {
            "requests_per_s": round(statistics.median(load.rate for load in self.loads)),
            "cpu_us_per_request": round(statistics.median(self.cpu_us), 1),
            "p99_ms_at_load": round(statistics.median(load.p99_ms for load in self.loads), 2),
            "p50_ms_one_connection": round(statistics.median(load.p50_ms for load in self.single), 3),
            "p99_ms_one_connection": round(statistics.median(load.p99_ms for load in self.single), 3),
            "failed": sum(load.failed for load in self.loads + self.single),
        }


def measure(figures: dict[str, Figures], names: list[str], seconds: float, connections: int) -> None:
    """One round."""
    with processes.nginx(UPSTREAM_CORE) as upstream:
        for name in names:
            with CONTESTANTS[name](CORE, upstream.port) as running:
                wrk(running.port, connections=connections, seconds=0.5, core=UPSTREAM_CORE)
                before = running.cpu_s()
                load = wrk(running.port, connections=connections, seconds=seconds, core=UPSTREAM_CORE)
                figures[name].loads.append(load)
                figures[name].cpu_us.append((running.cpu_s() - before) / max(1, load.requests) * 1e6)
                figures[name].single.append(wrk(running.port, connections=1, seconds=seconds / 2, core=UPSTREAM_CORE))


def main() -> int:
    """Print a Markdown table, or JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", help="names, separated by commas")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    names = args.only.split(",") if args.only else list(CONTESTANTS)
    figures = {name: Figures() for name in names}
    for number in range(args.rounds):
        began = time.monotonic()
        measure(figures, names, args.seconds, args.connections)
        print(f"round {number + 1} of {args.rounds}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    found = {name: one.summary() for name, one in figures.items()}
    print(json.dumps(found) if args.json else table(found))
    return 0


def table(found: dict[str, dict[str, float]]) -> str:
    """Markdown."""
    columns = list(next(iter(found.values())))
    lines = [f"| | {' | '.join(column.replace('_', ' ') for column in columns)} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in found.items():
        lines.append(f"| {name} | " + " | ".join(f"{row[column]:,}" for column in columns) + " |")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
