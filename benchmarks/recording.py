"""What recording costs, and whether callers notice (P6): `python benchmarks/recording.py`.

Recording and not take turns, seven times. First each as fast as it can; then at half the rate that recording can take,
where the p99 of both is compared.
"""

import statistics
import sys

import processes
import results
from load import Load, wrk

CORE, OTHER = 1, 0


def turns(rounds: int, seconds: float, rate: float, python: str) -> dict[str, list[Load]]:
    """Loads with recording on and off, in turn; `rate` 0 is as fast as it goes."""
    found: dict[str, list[Load]] = {"on": [], "off": []}
    said = {"BENCH_RATE": str(rate)} if rate else {}
    for number in range(rounds):
        for record in ("on", "off") if number % 2 else ("off", "on"):
            with processes.nginx(OTHER) as upstream, processes.weir(
                CORE, upstream.port, "--record", record, python=python
            ) as running:
                wrk(running.port, connections=32, seconds=1, core=OTHER)
                found[record].append(wrk(running.port, connections=32, seconds=seconds, core=OTHER, **said))
    return found


def main() -> int:
    """Print what came out."""
    parser = results.parser("Recording on against off.")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--compiled", action="store_true", help="of the build that `make compiled` makes")
    args = parser.parse_args()
    python = processes.COMPILED if args.compiled else sys.executable
    fast = turns(args.rounds, args.seconds, 0, python)
    on, off = (statistics.median(load.rate for load in fast[record]) for record in ("on", "off"))
    half = turns(args.rounds, args.seconds, on / 2, python)
    found = {
        "on_per_s": round(on), "off_per_s": round(off), "fewer_percent": round((1 - on / off) * 100, 1),
        "half_rate_per_s": round(on / 2), "reached_per_s": round(statistics.median(load.rate for load in half["on"])),
        "rounds": args.rounds,
    }
    for record, loads in half.items():
        found[f"p50_ms_{record}"] = round(statistics.median(load.p50_ms for load in loads), 2)
        found[f"p99_ms_{record}"] = round(statistics.median(load.p99_ms for load in loads), 2)
    return results.say("recording, compiled" if args.compiled else "recording", found, args.keep)


if __name__ == "__main__":
    sys.exit(main())
