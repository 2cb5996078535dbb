"""A session's timeline as bars: busy time to scale, idle time shortened, so that milliseconds between minutes show."""

import dataclasses
from bisect import bisect_right
from collections.abc import Sequence

from mcp_weir.store.shapes import TimelineItem

WIDTH = 1000.0
_LEAST = 3.0  # a bar's width at least
_IDLE_SHARE = 0.4  # of the width, for all shortened idle time together


@dataclasses.dataclass(frozen=True, slots=True)
class Waterfall:
    """The scale of one page of a timeline. `marks` are (milliseconds after the session's start, x)."""

    marks: tuple[tuple[float, float], ...]

    def x(self, offset_ms: float) -> float:
        """Where a time is, from 0 to WIDTH."""
        index = bisect_right(self.marks, (offset_ms, WIDTH)) - 1
        if index < 0:
            return 0.0
        if index >= len(self.marks) - 1:
            return WIDTH
        (from_ms, from_x), (to_ms, to_x) = self.marks[index], self.marks[index + 1]
        return from_x + (offset_ms - from_ms) / max(to_ms - from_ms, 1e-9) * (to_x - from_x)

    @property
    def pauses(self) -> list[float]:
        """The middle of each idle stretch that was shortened."""
        pairs = list(zip(self.marks[1::2], self.marks[2::2], strict=False))
        return [round((left + right) / 2, 1) for (_, left), (_, right) in pairs if right - left > 2]

    def bars(self, item: TimelineItem) -> list[tuple[str, float, float]]:
        """(classes, x, width) of an item: up to the result, and paler on to the exchange's end."""
        left = min(self.x(item.offset_ms), WIDTH - _LEAST)

        def wide(length_ms: float | None) -> float:
            reach = WIDTH if length_ms is None else self.x(item.offset_ms + length_ms)
            return round(max(reach - left, _LEAST), 1)

        tone, whole = _tone(item), wide(item.length_ms)
        result = item.request.duration_ms if item.request is not None else None
        if result is None or wide(result) >= whole:
            return [(tone, round(left, 1), whole)]
        return [(f"{tone} rest", round(left, 1), whole), (tone, round(left, 1), wide(result))]


def scale(items: Sequence[TimelineItem]) -> Waterfall:
    """Requests are what is busy; streams stand open through idle time and do not count."""
    busy = _merged([(i.offset_ms, i.offset_ms + max(i.length_ms or 0.0, 0.01)) for i in items if i.kind != "stream"])
    busy = busy or _merged([(i.offset_ms, i.offset_ms + (i.length_ms or 1.0)) for i in items]) or [(0.0, 1.0)]
    gaps = [start - end for (_, end), (start, _) in zip(busy, busy[1:], strict=False)]
    working = sum(end - start for start, end in busy)
    most = working * _IDLE_SHARE / (1 - _IDLE_SHARE) / max(len(gaps), 1)
    shown = [min(gap, most) for gap in gaps] + [0.0]
    unit = WIDTH / (working + sum(shown))
    marks, x = [], 0.0
    for (start, end), gap in zip(busy, shown, strict=True):
        marks.append((start, x))
        x += (end - start) * unit
        marks.append((end, x))
        x += gap * unit
    return Waterfall(tuple(marks))


def _merged(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return found


def _tone(item: TimelineItem) -> str:
    if item.kind == "stream":
        return "stream"
    if item.is_error or item.kind == "failure":
        return "err"
    if item.request is not None and item.request.outcome in ("cancelled", "client_aborted"):
        return "off"
    return "server" if item.kind == "server_request" else ""
