"""Renews the tables and plots of docs/performance.md from results.json: `python benchmarks/page.py`.

A table stands between `<!-- NAME -->` and `<!-- /NAME -->`; everything else in the page is written by hand.
"""

import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import plots
import results
from goals import GOALS

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"


def table(head: list[str], rows: list[list[object]]) -> str:
    """Markdown; figures to the right."""
    lines = [f"| {' | '.join(head)} |", "|---" + "|--:" * (len(head) - 1) + "|"]
    for name, *cells in rows:
        lines.append(f"| {name} | {' | '.join(shown(cell) for cell in cells)} |")
    return "\n".join(lines)


def shown(cell: object) -> str:
    """A figure with three digits that count, or nothing."""
    match cell:
        case None | "":
            return ""
        case bool():
            return "yes" if cell else "no"
        case int() | float():
            return f"{cell:,.0f}" if abs(cell) >= 100 else f"{cell:.3g}"
    return str(cell)


def columns(found: dict[str, Any], names: dict[str, str]) -> str:
    """A row for each contestant; one that is missing says so."""
    rows: list[list[object]] = []
    for name, one in found.items():
        rows.append([name, *(one.get(key) for key in names)] if one else [name, *["not measured"] * len(names)])
    return table(["", *names.values()], rows)


def added(found: dict[str, Any], direct: dict[str, float], keys: dict[str, str]) -> dict[str, Any]:
    """With `+key`: what is added over direct."""
    more = {name: {f"+{key}": round(one[key] - direct[key], 3) for key in keys if key in one and one is not direct}
            for name, one in found.items()}
    return {name: one | more[name] for name, one in found.items()}


def rates(found: dict[str, Any]) -> str:
    """Small tool calls."""
    return columns(found, {
        "requests_per_s": "requests/s", "cpu_us": "CPU µs a request", "p99_ms_at_load": "p99 ms at that load",
        "p50_ms_alone": "p50 ms, one connection", "p99_ms_alone": "p99 ms, one connection",
    })


def tools(found: dict[str, Any]) -> str:
    """Real tool calls."""
    keys = {"p50_ms": "", "p95_ms": ""}
    return columns(added(found, found["direct"], keys), {
        "calls_per_s": "calls/s", "cpu_us": "proxy's CPU µs a call", "p50_ms": "p50 ms", "+p50_ms": "added",
        "p95_ms": "p95 ms", "+p95_ms": "added",
    })


def streams(found: dict[str, Any]) -> str:
    """Events and idle streams."""
    whole = {name: one for name, one in found.items() if name != "idle"}
    keys = {key: key for key in ("first_p50_ms", "first_p99_ms", "event_p50_ms", "event_p99_ms")}
    return columns(added(whole, whole["direct"], keys), {
        "first_p50_ms": "first event p50 ms", "+first_p50_ms": "added", "first_p99_ms": "p99 ms",
        "+first_p99_ms": "added", "event_p50_ms": "each event p50 ms", "+event_p50_ms": "added",
        "event_p99_ms": "p99 ms", "+event_p99_ms": "added", "idle_stream_kib": "KiB an idle stream",
    })


def sustained(found: dict[str, Any]) -> str:
    """Rates tried."""
    return table(["requests/s asked", "reached", "p50 ms", "p99 ms", "waiting in the end, s of traffic", "flat"], [
        [f"{run['rate']:,.0f}", run["reached"], run["p50_ms"], run["p99_ms"], run["waiting_s"][-1], run["flat"]]
        for run in found["runs"]
    ])


def causes(found: dict[str, Any]) -> str:
    """Microseconds by cause, and what the weir spends beyond nginx."""
    rows: list[list[object]] = []
    for cause in found["weir"]:
        us = [one[cause] for one in found.values()]
        rows.append([cause, *us, round(us[0] - us[-1], 1)])
    return table(["µs of CPU a request", *found, "weir beyond nginx"], rows)


def bodies(found: dict[str, Any]) -> str:
    """Bodies of 64 MiB."""
    return columns(found, {
        "upload_mib_s": "up, MiB/s", "download_mib_s": "down, MiB/s", "grew_by_kib": "memory grew by KiB",
    })


def goals(found: dict[str, Any]) -> str:
    """Goal and measured, for everything that has been measured."""
    rows: list[list[object]] = []
    for what, goal, measure in GOALS:
        try:
            value, met = measure(found)
        except (KeyError, IndexError, StopIteration):
            value, met = "not measured", None
        rows.append([what, goal, value, {True: "met", False: "missed", None: ""}[met]])
    return table(["figure", "goal", "measured", ""], rows)


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "rates": rates, "tools": tools, "streams": streams, "sustained": sustained, "causes": causes, "bodies": bodies,
}
ALT = {
    "rates": "Requests per second, and CPU of a request", "tools": "CPU and time of a real tool call",
    "streams": "How late events come", "sustained": "The backlog over time", "causes": "CPU of a request by cause",
    "growth": "Requests for a second of CPU, over what grows",
}
BUSY = 2.5  # a load average before the run that means that other work ran; the benchmark before leaves up to 2


def busy(found: dict[str, Any], name: str) -> str:
    """What is to be known of figures: a note in the file, or that something else ran."""
    load, note = found["load_before"].get(name, 0), found.get("notes", {}).get(name)
    if note is None and load >= BUSY:
        note = f"Other work ran meanwhile (load average {load} before): to be taken again."
    return f"\n\n{note}" if note else ""


def picture(name: str) -> str:
    """The plot, above its table."""
    return f"![{ALT[name]}](images/performance-{name}.svg)\n\n"


def placed(text: str, name: str, said: str) -> str:
    """The page with this in its place."""
    form = re.compile(rf"<!-- {name} -->.*?<!-- /{name} -->", re.DOTALL)
    text, times = form.subn(lambda _: f"<!-- {name} -->\n\n{said}\n\n<!-- /{name} -->", text)
    if times != 1:
        raise SystemExit(f"docs/performance.md has no place for {name}")
    return text


def main() -> int:
    """Write page and plots."""
    found, text = results.kept(), PAGE.read_text()
    for name, make in TABLES.items():
        said = make(found[name]) + busy(found, name) if name in found else f"Not measured yet: `BENCHMARKS={name}`."
        text = placed(text, name, picture(name) + said if name in found and name in plots.PLOTS else said)
    grown = [name for name in plots.GROWTH if f"growth_{name}" in found]
    said = picture("growth") + busy(found, f"growth_{grown[0]}") if grown else "Not measured yet."
    text = placed(text, "growth", said)
    text = placed(text, "goals", goals(found))
    PAGE.write_text(text)
    plots.draw(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
