"""Requests per second and latency, side by side in one run: `python benchmarks/rates.py [--rounds N] [--seconds S]`.

The contestant has core 1 to itself; wrk and the upstream share core 0. Each round runs every contestant once, in
turn; the figures are medians over the rounds.
"""

import dataclasses
import statistics
import sys
import time

import peers
import processes
import results
from load import Load, wrk
from processes import Contestant

UPSTREAM_CORE, CORE = 0, 1
CONTESTANTS: dict[str, Contestant] = {
    "direct": processes.direct,
    "nginx": lambda core, port: processes.nginx(core, port),
    "HAProxy": processes.haproxy,
    "weir": lambda core, port: processes.weir(core, port),
    "weir, not recording": lambda core, port: processes.weir(core, port, "--record", "off"),
    "weir, compiled": lambda core, port: processes.weir(core, port, python=processes.COMPILED),
    "weir, compiled, not recording": lambda core, port: processes.weir(
        core, port, "--record", "off", python=processes.COMPILED),
    "plain aiohttp proxy": processes.plain_aiohttp,
    "mitmproxy": peers.mitmproxy,
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
            "cpu_us": round(statistics.median(self.cpu_us), 1),
            "p99_ms_at_load": round(statistics.median(load.p99_ms for load in self.loads), 2),
            "p50_ms_alone": round(statistics.median(load.p50_ms for load in self.single), 3),
            "p99_ms_alone": round(statistics.median(load.p99_ms for load in self.single), 3),
            "failed": sum(load.failed for load in self.loads + self.single),
        }


def measure(figures: dict[str, Figures], names: list[str], seconds: float, connections: int) -> None:
    """One round. A peer that is missing keeps no figures."""
    with processes.nginx(UPSTREAM_CORE) as upstream:
        for name in names:
            try:
                with CONTESTANTS[name](CORE, upstream.port) as running:
                    wrk(running.port, connections=connections, seconds=1, core=UPSTREAM_CORE)
                    before = running.cpu_s()
                    load = wrk(running.port, connections=connections, seconds=seconds, core=UPSTREAM_CORE)
                    figures[name].loads.append(load)
                    figures[name].cpu_us.append((running.cpu_s() - before) / max(1, load.requests) * 1e6)
                    alone = wrk(running.port, connections=1, seconds=seconds / 2, core=UPSTREAM_CORE)
                    figures[name].single.append(alone)
            except peers.Missing as missing:
                print(f"{name}: could not be installed ({missing})", file=sys.stderr)


def main() -> int:
    """Print what came out."""
    parser = results.parser("Requests per second and latency, side by side.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--only", help="names, separated by semicolons")
    args = parser.parse_args()
    names = args.only.split(";") if args.only else list(CONTESTANTS)
    figures = {name: Figures() for name in names}
    for number in range(args.rounds):
        began = time.monotonic()
        measure(figures, names, args.seconds, args.connections)
        print(f"round {number + 1} of {args.rounds}: {time.monotonic() - began:.0f} s", file=sys.stderr)
    found = {name: one.summary() if one.loads else {} for name, one in figures.items()}
    return results.say("rates", found, args.keep)


if __name__ == "__main__":
    sys.exit(main())
