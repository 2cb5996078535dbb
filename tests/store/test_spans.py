"""Steps of rollups add up to the window: each minute in it once, each other minute not at all."""

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from mcp_weir.store.reads.spans import Span, hours_and_days, latency_spans, spans
from mcp_weir.store.shapes import DAY, HOUR, MINUTE, Window
from mcp_weir.store.shapes.windows import floor

NOW = datetime(2026, 11, 25, 13, 44, 20, tzinfo=UTC)
LAST = NOW + HOUR  # a row may come with a clock that is ahead
STEPS = {"minute": MINUTE, "hour": HOUR, "day": DAY}


def covered(parts: tuple[Span, ...] | list[Span]) -> Counter[datetime]:
    """How often each minute up to LAST is counted."""
    found: Counter[datetime] = Counter()
    for span in parts:
        at, until = span.since, min(span.until, LAST)
        while at < until:
            found[at] += -1 if span.less else 1
            at += MINUTE
    return Counter({at: count for at, count in found.items() if count})


def windows() -> list[Window]:
    draw = random.Random(3)
    made = [Window.last(length, NOW) for length in (15 * MINUTE, HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY)]
    for _ in range(60):
        since = NOW - draw.random() ** 2 * 5 * DAY - MINUTE
        length = draw.random() ** 3 * 3 * DAY + MINUTE
        made.append(Window.of(since, min(since + length, NOW), now=NOW))
    return made


@pytest.mark.parametrize("window", windows(), ids=str)
def test_every_minute_of_the_window_counts_once_and_no_other(window: Window) -> None:
    parts = spans(window, NOW)
    end = window.until if window.until < NOW else LAST
    assert covered(parts) == covered([Span("minute", window.since, end)])
    assert all(floor(span.since, STEPS[span.level]) == span.since for span in parts)
    assert sum((span.until - span.since for span in parts if span.level == "minute"), timedelta(0)) <= HOUR or (
        window.until >= NOW and window.since > NOW - 30 * MINUTE)


@pytest.mark.parametrize("window", windows(), ids=str)
def test_hours_and_days_cover_it_without_taking_anything_off(window: Window) -> None:
    parts = hours_and_days(window, NOW)
    found = covered(parts)
    assert not any(span.less for span in parts) and set(found.values()) == {1}
    assert min(found) == floor(window.since, HOUR) and max(found) >= min(window.until, LAST) - MINUTE


def test_percentiles_of_more_than_two_days_count_the_first_day_whole() -> None:
    week, day = Window.last(7 * DAY, NOW), Window.last(DAY, NOW)
    assert min(covered(latency_spans(week, NOW))) == floor(week.since, DAY)
    assert latency_spans(day, NOW) == spans(day, NOW)
