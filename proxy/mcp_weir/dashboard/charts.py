"""Charts: values for the script to draw, and a drawing of lines and bars, with its axes, for readers without it.

Geometry stands in SVG attributes (the CSP forbids inline styles). A value of None is a hole: not recorded is not zero.
"""

import dataclasses
import math
from collections.abc import Sequence
from datetime import datetime, timedelta

from mcp_weir.dashboard import format
from mcp_weir.store.shapes import EraPoint, Point

WIDTH, HEIGHT = 1000.0, 170.0
_LABELS = 6
Values = Sequence[float | None]


@dataclasses.dataclass(frozen=True, slots=True)
class Series:
    """One line or layer; `colour` is a class of the style sheet (c-...)."""

    name: str
    values: tuple[float | None, ...]
    colour: str


@dataclasses.dataclass(frozen=True, slots=True)
class Chart:
    """A chart over time. `kind` is line or stack (bars on top of each other); `unit` names a filter of format."""

    title: str
    kind: str
    unit: str
    step_s: float
    times: tuple[datetime, ...]
    series: tuple[Series, ...]
    log: bool = False  # a logarithmic axis: milliseconds beside seconds

    @property
    def empty(self) -> bool:
        """Nothing to draw."""
        return not any(value for series in self.series for value in series.values)

    @property
    def top(self) -> float:
        """The axis' end: a round number at or above the highest value."""
        return _round_up(max(self._heights(), default=0.0))

    @property
    def data(self) -> dict[str, object]:
        """What the script draws."""
        return {
            "kind": self.kind, "unit": self.unit, "log": self.log, "step": self.step_s,
            "times": [at.timestamp() for at in self.times],
            "series": [
                {"name": s.name, "colour": s.colour, "values": [_short(value) for value in s.values]}
                for s in self.series
            ],
        }

    def label(self, value: float) -> str:
        """A value as this chart's axis says it."""
        return str(getattr(format, self.unit)(value))

    def ruled(self) -> list[tuple[float, str]]:
        """(height in percent from above, label) of the lines of the value axis."""
        if self.log:
            low, high = self._decades
            return [(round(100 * (high - power) / (high - low), 2), self.label(10.0**power))
                    for power in range(low, high + 1)]
        return [(0.0, self.label(self.top)), (50.0, self.label(self.top / 2)), (100.0, self.label(0))]

    def hours(self) -> list[tuple[float, str]]:
        """(place in percent from the left, label) of some steps of the time axis, in UTC."""
        many = len(self.times)
        every = max(math.ceil(many / _LABELS), 1)
        days = many > 1 and (self.times[-1] - self.times[0]).days >= 2
        form = "%d %b" if days or self.step_s >= 86400 else "%H:%M"
        return [(round(100 * (index + 0.5) / many, 2), f"{self.times[index]:{form}}")
                for index in range(every // 2, many, every)]

    def bars(self) -> list[tuple[str, str]]:
        """(colour, SVG path) of each layer of stacked bars: one path, as a week of two layers is 336 bars."""
        top, wide = self.top, WIDTH / max(len(self.times), 1)  # once: finding the top looks at every value
        bases, found = [0.0] * len(self.times), []
        for series in self.series:
            parts = []
            for index, value in enumerate(series.values):
                if value:
                    tall = value / top * HEIGHT
                    high = HEIGHT - bases[index] - tall
                    bases[index] += tall
                    left, right = (index + 0.08) * wide, (index + 0.92) * wide
                    parts.append(f"M{left:.2f} {high:.2f}H{right:.2f}v{tall:.2f}H{left:.2f}z")
            found.append((series.colour, "".join(parts)))
        return found

    def paths(self) -> list[tuple[str, str]]:
        """(colour, SVG path) of each line, broken where there is no value; a lone point is a short dash."""
        return [(series.colour, self._path(series.values)) for series in self.series]

    def _path(self, values: Values) -> str:
        wide, parts, pen = WIDTH / max(len(values), 1), [], False
        low, high = self._decades if self.log else (0, 1)
        top = self.top
        for index, value in enumerate(values):
            if value is None:
                pen = False
                continue
            share = _decade_share(value, low, high) if self.log else value / top
            x, y = (index + 0.5) * wide, HEIGHT - share * HEIGHT
            parts.append(f"L{x:.1f} {y:.1f}" if pen else f"M{x - 2:.1f} {y:.1f}L{x:.1f} {y:.1f}")
            pen = True
        return "".join(parts)

    @property
    def _decades(self) -> tuple[int, int]:
        """The powers of ten around every value of a logarithmic axis."""
        known = [value for series in self.series for value in series.values if value] or [1.0]
        low = math.floor(math.log10(max(min(known), 1e-3)))
        return low, max(math.ceil(math.log10(max(*known, 1e-2) * 1.01)), low + 1)

    def _heights(self) -> list[float]:
        columns = zip(*(series.values for series in self.series), strict=True)
        if self.kind == "stack":
            return [sum(value or 0 for value in column) for column in columns]
        return [max((value or 0 for value in column), default=0) for column in columns]


def volume(points: Sequence[Point], grain: timedelta, *, calls: bool = False) -> Chart:
    """Requests (or a tool's calls) that went well and that failed."""
    known = [p.recorded or p.requests > 0 for p in points]
    whole = [p.calls if calls else p.requests for p in points]
    good = tuple(n - p.errors if k else None for n, p, k in zip(whole, points, known, strict=True))
    bad = tuple(p.errors if k else None for p, k in zip(points, known, strict=True))
    series = (Series("ok", good, "c-accent"), Series("failed", bad, "c-bad"))
    title = "Calls" if calls else "Requests"
    return Chart(title, "stack", "number", grain.total_seconds(), tuple(p.at for p in points), series)


def latency(points: Sequence[Point], grain: timedelta) -> Chart:
    """p50, p95 and p99 of tool calls."""
    lines = (("p50", "p50_ms", "c-accent"), ("p95", "p95_ms", "c-warn"), ("p99", "p99_ms", "c-violet"))
    series = tuple(Series(name, tuple(getattr(p, field) for p in points), colour) for name, field, colour in lines)
    times = tuple(p.at for p in points)
    return Chart("Latency of tool calls", "line", "ms", grain.total_seconds(), times, series, log=True)


def error_rate(points: Sequence[Point], grain: timedelta) -> Chart:
    """The share of requests that failed; a hole where there were none."""
    shares = tuple(p.errors / p.requests if p.requests else None for p in points)
    series = (Series("error rate", shares, "c-bad"),)
    return Chart("Error rate", "line", "percent", grain.total_seconds(), tuple(p.at for p in points), series)


def tokens(points: Sequence[Point], grain: timedelta) -> Chart:
    """What clients sent and what they got, in estimated tokens; a hole where nothing was recorded."""
    known = [p.recorded or p.requests > 0 for p in points]
    layers = (("out", "tokens_out", "c-violet"), ("in", "tokens_in", "c-info"))
    series = tuple(
        Series(name, tuple(float(getattr(p, field)) if k else None for p, k in zip(points, known, strict=True)), colour)
        for name, field, colour in layers
    )
    return Chart("Tokens, estimated", "stack", "number", grain.total_seconds(), tuple(p.at for p in points), series)


def eras(points: Sequence[EraPoint], grain: timedelta) -> Chart:
    """Sessions begun, by era."""
    lines = (("legacy", "c-warn"), ("modern", "c-accent"), ("unknown", "c-soft"))
    series = tuple(Series(name, tuple(float(getattr(p, name)) for p in points), colour) for name, colour in lines)
    return Chart("Sessions begun", "stack", "number", grain.total_seconds(), tuple(p.at for p in points), series)


def grain(points: Sequence[Point] | Sequence[EraPoint]) -> timedelta:
    """The step of a series; a minute where a single point does not tell."""
    return points[1].at - points[0].at if len(points) > 1 else timedelta(minutes=1)


def spark(values: Sequence[float]) -> str:
    """Small bars in a box of 96 by 22 as an SVG path; at most 48 of them."""
    if not values or not max(values):
        return ""
    together = -(-len(values) // 48)
    sums = [sum(values[i:i + together]) for i in range(0, len(values), together)]
    wide, most = 96 / len(sums), max(sums)
    bar, found = max(wide - 0.6, 0.8), []
    for index, value in enumerate(sums):
        if value:
            tall = max(value / most * 22, 1.5)
            found.append(f"M{index * wide:.2f} {22 - tall:.2f}h{bar:.2f}v{tall:.2f}h{-bar:.2f}z")
    return "".join(found)


def _decade_share(value: float, low: int, high: int) -> float:
    """How high up a value stands between two powers of ten, from 0 to 1."""
    return min(max((math.log10(max(value, 1e-9)) - low) / (high - low), 0.0), 1.0)


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _round_up(value: float) -> float:
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10) if step * power >= value * 0.9999)
