"""The goals, and how each is read from what was measured: (figure, goal, measured and whether it is met)."""

from collections.abc import Callable
from typing import Any

Found = dict[str, Any]
Measure = Callable[[Found], tuple[str, bool]]


def at_least(value: float, goal: float, unit: str = "") -> tuple[str, bool]:
    """More is better."""
    return f"{value:,.0f}{unit}", value >= goal


def at_most(value: float, goal: float, unit: str = "") -> tuple[str, bool]:
    """Less is better."""
    return f"{value:,.3g}{unit}" if abs(value) < 100 else f"{value:,.0f}{unit}", value <= goal


def _alone(found: Found, who: str, percent: int) -> float:
    """What `who` adds to a request on one connection, ms."""
    rates = found["rates"]
    return float(rates[who][f"p{percent}_ms_alone"] - rates["direct"][f"p{percent}_ms_alone"])


def _added_p50(found: Found) -> tuple[str, bool]:
    ours, theirs = _alone(found, "weir", 50), _alone(found, "nginx", 50)
    return f"{ours:.2f} ms, nginx {theirs:.2f}: {ours / theirs:.1f} x", ours <= 1.5 * theirs


def _events(found: Found) -> tuple[str, bool]:
    ours, direct = found["streams"]["weir"], found["streams"]["direct"]
    more = {key: ours[key] - direct[key] for key in ours if key in direct}
    p50s, p99s = ((more[f"first_p{percent}_ms"], more[f"event_p{percent}_ms"]) for percent in (50, 99))
    met = max(p50s) <= 0.3 and max(p99s) <= 2
    return (f"first {more['first_p50_ms']:.2f} / {more['first_p99_ms']:.1f} ms, "
            f"each {more['event_p50_ms']:.2f} / {more['event_p99_ms']:.1f} ms", met)


def _bodies(found: Found) -> tuple[str, bool]:
    ours, theirs = found["bodies"]["weir"], found["bodies"]["plain aiohttp proxy"]
    ways = ("upload_mib_s", "download_mib_s")
    up, down = ((ours[way], theirs[way]) for way in ways)
    return (f"{up[0]} up, {down[0]} down MiB/s against {up[1]} and {down[1]}; {ours['grew_by_kib']} KiB more memory",
            all(ours[way] >= theirs[way] for way in ways) and ours["grew_by_kib"] < 16384)


def _idle(found: Found) -> tuple[str, bool]:
    each, many = found["streams"]["weir"]["idle_stream_kib"], found["streams"]["idle"]["streams"]
    return f"{many:,} streams, {each:g} KiB each", many >= 9000 and each <= 25


def _recorder(found: Found) -> tuple[str, bool]:
    rows, cpu = found["recorder"]["rows_per_s"], found["recorder"]["recorder_cpu_us_each"]
    return f"{rows:,} rows/s, {cpu:g} µs each", rows >= 50_000 and cpu <= 20


def _half_rate(found: Found) -> tuple[str, bool]:
    one = found["recording"]
    return f"{one['p99_ms_on']:g} ms on, {one['p99_ms_off']:g} off", one["p99_ms_on"] - one["p99_ms_off"] <= 2


def _at_rest(found: Found) -> tuple[str, bool]:
    taken = (found["footprint"][name]["total"] for name in ("idle_kib_cold", "after_load_kib_cold"))
    fresh, worked = (kib * 1024 / 1e6 for kib in taken)
    return f"{fresh:.0f} MB, {worked:.0f} after five seconds of full load", fresh <= 120


GOALS: tuple[tuple[str, str, Measure], ...] = (
    ("requests/s per relay core, each spooled before its answer", "20,000",
     lambda found: at_least(found["rates"]["weir"]["requests_per_s"], 20_000)),
    ("highest rate at which the backlog stays flat, everything on two cores", "8,000/s",
     lambda found: at_least(found["sustained"]["highest_flat_per_s"], 8000, "/s")),
    ("recording on against off", "at most 10 % fewer requests/s",
     lambda found: at_most(found["recording"]["fewer_percent"], 10, " % fewer")),
    ("p99 at half that rate, recording on against off", "within 2 ms", _half_rate),
    ("added p50, one connection", "at most 1.5 x what nginx adds", _added_p50),
    ("added p99, one connection", "at most 1 ms", lambda found: at_most(round(_alone(found, "weir", 99), 2), 1, " ms")),
    ("events of 1,000 streams, added p50 / p99", "0.3 / 2 ms, first and each", _events),
    ("idle streams on one worker", "9,000, at most 25 KiB each", _idle),
    ("bodies of 64 MiB", "a plain aiohttp proxy's rate, memory flat", _bodies),
    ("recorder", "50,000 rows/s, 20 µs of CPU each", _recorder),
    ("CPU a request, two workers against one", "at most 1.05 x",
     lambda found: at_most(found["workers"]["ratio"], 1.05, " x")),
    ("memory, idle, without Postgres", "120 MB", _at_rest),
    ("start to first forwarded request, database ready", "0.5 s",
     lambda found: at_most(found["footprint"]["first_answer_s_warm"], 0.5, " s")),
)
