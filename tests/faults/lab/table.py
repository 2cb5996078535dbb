"""The table of promises: each fault run adds a row with its goals, what was measured, and how often the fault bit."""

import dataclasses
import json
import os
import time
from pathlib import Path

ROWS: list["Row"] = []


@dataclasses.dataclass(frozen=True, slots=True)
class Goal:
    """A figure and the bound it was held to."""

    name: str
    measured: float
    bound: float
    at_least: bool = False

    @property
    def met(self) -> bool:
        """NaN meets nothing."""
        return self.measured >= self.bound if self.at_least else self.measured <= self.bound

    def __str__(self) -> str:
        return f"{self.name} {'>=' if self.at_least else '<='} {_plain(self.bound)}"


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """One promise under one fault."""

    promise: str
    fault: str
    goals: tuple[Goal, ...]
    bites: dict[str, float]
    notes: str = ""

    @property
    def bit(self) -> bool:
        """Every fault of the run was felt at least once."""
        return all(self.bites.values())

    @property
    def verdict(self) -> str:
        """`met`, `MISSED` or `did not bite`."""
        if not self.bit:
            return "did not bite"
        return "met" if all(goal.met for goal in self.goals) else "MISSED"

    def why(self) -> str:
        """What keeps it from being met."""
        if not self.bit:
            return "nothing was felt of " + ", ".join(name for name, count in self.bites.items() if not count)
        return "; ".join(f"{goal.name} {_plain(goal.measured)}, goal {_plain(goal.bound)}" for goal in self.goals
                         if not goal.met)

    def cells(self) -> tuple[str, ...]:
        """The row as text."""
        return (
            self.promise, self.fault, "; ".join(map(str, self.goals)),
            "; ".join(f"{goal.name} {_plain(goal.measured)}" for goal in self.goals),
            "; ".join(f"{name} {_plain(count)}" for name, count in self.bites.items()),
            self.verdict + (f" ({self.notes})" if self.notes else ""),
        )


HEADINGS = ("promise", "fault", "goal", "measured", "bites", "verdict")


def at_most(name: str, measured: float, bound: float) -> Goal:
    """The figure may not exceed the bound."""
    return Goal(name, measured, bound)


def at_least(name: str, measured: float, bound: float) -> Goal:
    """The figure may not fall below the bound."""
    return Goal(name, measured, bound, at_least=True)


def judge(promise: str, fault: str, *goals: Goal, bites: dict[str, float], notes: str = "", about: str = "") -> None:
    """Add the row, met or not; then fail the test unless it is met and the fault bit. `about` explains a failure."""
    row = Row(promise, fault, goals, bites, notes)
    ROWS.append(row)
    assert row.bit, f"the fault did not bite: {bites}; {about}"
    assert row.verdict == "met", f"{'; '.join(row.cells())}; {about}"


_PREFACE = """# Promises, measured

`make faults PYTEST="--promises-markdown docs/promises.md"` breaks things on purpose and writes this page; `make
faults-short` is the half that CI runs. The judge stands outside: a load generator makes ids and nonces and knows what
each answer must be, an upstream counts what it executed, and both are held against the public views. `bites` is how
often the fault was felt: a run whose fault did not bite fails. Rates and latencies beside other proxies are in the
benchmarks; P16 (hostile data in a browser) is tested with the dashboard.

"""


_BY_HAND = "<!-- what stands below is written by hand, and kept -->"
_BEGAN = time.monotonic()  # this module is imported as the run begins


def document(before: str, broken: list[str]) -> str:
    """docs/promises.md, made anew but for what stands in it (`before`) by hand. `broken`: tests without a verdict."""
    _, mark, kept = before.partition(_BY_HAND)
    return f"{_PREFACE}{markdown()}\n{_about_the_run(broken)}\n{_BY_HAND}{kept if mark else chr(10)}"


def _about_the_run(broken: list[str]) -> str:
    load = ", ".join(f"{part:.1f}" for part in os.getloadavg())
    lines = [
        f"{sum(row.verdict == 'met' for row in ROWS)} of {len(ROWS)} rows are met: one run of"
        f" {(time.monotonic() - _BEGAN) / 60:.0f} minutes on {os.cpu_count()} cores (load average at its end: {load})."
        " Where others had it meanwhile, a bound on time holds what a process of the judge's own was kept waiting.",
    ]
    missed = [row for row in _ordered() if row.verdict != "met"]
    if broken:
        lines += ["", "Ended without a verdict: " + ", ".join(broken) + "."]
    if missed:
        lines += ["", "Not met:", "", *(f"- {row.promise}, {row.fault}: {row.why()}." for row in missed)]
    return "\n".join(lines) + "\n"


def markdown() -> str:
    """The table alone."""
    lines = ["| " + " | ".join(HEADINGS) + " |", "|" + "---|" * len(HEADINGS)]
    return "\n".join([*lines, *("| " + " | ".join(row.cells()) + " |" for row in _ordered())]) + "\n"


def text() -> str:
    """The table for a terminal: a paragraph a row, since a goal can be long."""
    return "\n".join(
        f"{row.promise:>4}  {row.fault}\n      goal      {row.cells()[2]}\n      measured  {row.cells()[3]}\n"
        f"      bites     {row.cells()[4]}\n      {row.cells()[5]}"
        for row in _ordered()
    )


def write_json(path: Path) -> None:
    """The table for machines."""
    found = [dataclasses.asdict(row) | {"verdict": row.verdict} for row in _ordered()]
    path.write_text(json.dumps(found, indent=1) + "\n")


def _ordered() -> list[Row]:
    return sorted(ROWS, key=lambda row: int(row.promise[1:]))


def _plain(value: float) -> str:
    if value == float("inf"):
        return "for ever"
    if isinstance(value, int) or value == int(value if value == value else 0):
        return f"{int(value):,}" if value == value else "nothing"
    return f"{value:,.3g}" if value < 1000 else f"{value:,.0f}"
