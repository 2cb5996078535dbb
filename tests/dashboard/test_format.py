"""Figures as a reader wants them."""

from datetime import UTC, datetime, timedelta

import pytest

from mcp_weir.dashboard import charts, format, render

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)


@pytest.mark.parametrize(("value", "says"), [
    (None, "–"), (0, "0"), (1234, "1,234"), (9999, "9,999"), (12_345, "12.3k"), (999_400, "999k"), (999_600, "1.0M"),
    (1_234_567, "1.2M"), (123_456_789, "123M"), (2.5e9, "2.5G"), (7e12, "7.0T"),
])
def test_numbers(value: float | None, says: str) -> None:
    assert format.number(value) == says


@pytest.mark.parametrize(("value", "says"), [
    (None, "–"), (0, "0 ms"), (0.04, "0.04 ms"), (0.99, "0.99 ms"), (4.56, "4.6 ms"), (45.4, "45 ms"),
    (999.4, "999 ms"), (999.6, "1.0 s"), (1234, "1.2 s"), (9_960, "10 s"), (65_000, "1 min 5 s"),
    (7_440_000, "2 h 4 min"), (9e7, "1 d 1 h"),
])
def test_durations(value: float | None, says: str) -> None:
    assert format.ms(value) == says


@pytest.mark.parametrize(("value", "says"), [(0, "0 B"), (900, "900 B"), (1400, "1.4 KiB"), (5 << 20, "5.0 MiB")])
def test_sizes(value: int, says: str) -> None:
    assert format.size(value) == says


@pytest.mark.parametrize(("value", "says"), [
    (0, "0 %"), (0.0025, "0.25 %"), (0.012, "1.2 %"), (0.34, "34 %"), (1, "100 %"),
])
def test_shares(value: float, says: str) -> None:
    assert format.percent(value) == says


@pytest.mark.parametrize(("now", "before", "says"), [
    (112, 100, "+12 %"), (97, 100, "−3 %"), (100, 100, "±0 %"), (420, 100, "×4.2"), (5, 0, "none before"), (0, 0, ""),
    (None, 4, ""), (4, None, ""), (0, 4, "−100 %"),
])
def test_change_against_the_period_before(now: float | None, before: float | None, says: str) -> None:
    assert format.change(now, before) == says


@pytest.mark.parametrize(("back", "says"), [
    (1, "now"), (12, "12 s ago"), (200, "3 min ago"), (7300, "2 h ago"), (5 * 86400, "5 d ago"), (-90, "in 2 min"),
])
def test_how_long_ago(back: float, says: str) -> None:
    assert format.ago(NOW - timedelta(seconds=back), NOW) == says


def test_every_template_compiles() -> None:
    render.load()


def test_bars_stand_on_each_other_and_reach_the_top_together() -> None:
    times = tuple(NOW + timedelta(hours=hour) for hour in range(2))
    layers = (charts.Series("ok", (3.0, None), "c-accent"), charts.Series("failed", (1.0, 4.0), "c-bad"))
    chart = charts.Chart("Requests", "stack", "number", 3600, times, layers)
    assert chart.bars() == [
        ("c-accent", "M40.00 42.50H460.00v127.50H40.00z"),
        ("c-bad", "M40.00 0.00H460.00v42.50H40.00zM540.00 0.00H960.00v170.00H540.00z"),
    ]
    assert charts.spark([0, 1, 2]) == "M32.00 11.00h31.40v11.00h-31.40zM64.00 0.00h31.40v22.00h-31.40z"
    assert charts.spark([0, 0]) == charts.spark([]) == ""
