"""Values as terminal text."""

import io
from datetime import UTC, datetime, timedelta

import pytest
from rich.cells import cell_len
from rich.console import Console

from mcp_weir.errors import UsageError
from mcp_weir.reports import ask, tables, text
from mcp_weir.store.shapes import DAY, HOUR, MINUTE, ToolSummary, Totals, Window

NOW = datetime(2026, 11, 25, 12, 34, 56, 789, tzinfo=UTC)


@pytest.mark.parametrize(("said", "shown"), [
    ("plain", "plain"), ("\x1b[31m", "\\x1b[31m"), ("a\nb", "a\\nb"), ("\x9b", "\\x9b"), ("\u202e", "\\u202e"),
    ("\u200b", "\\u200b"), ("[b]x[/b]", "[b]x[/b]"), ("👩\u200d💻", "👩\u200d💻"), ("العربية", "العربية"), (None, ""),
    ("\ud800", "\\ud800"), ("x" * 300, "x" * 199 + "…"),
])
def test_inert(said: str | None, shown: str) -> None:
    assert text.inert(said) == shown


def test_figures_read_as_people_write_them() -> None:
    assert [text.ms(value) for value in (None, 0.04, 9.96, 12.3, 1500, 61_000, 3_700_000)] == [
        "", "0.0 ms", "10.0 ms", "12 ms", "1.5 s", "1 min 1 s", "1 h 1 min"]
    assert [text.share(value) for value in (0, 0.0001, 0.123)] == ["0 %", "<0.1 %", "12.3 %"]
    assert [text.size(value) for value in (0, 1023, 1536, 5 << 30)] == ["0 B", "1023 B", "1.5 KiB", "5.0 GiB"]
    assert text.change(3, 2) == "+50 %" and text.change(3, 0) == ""
    assert text.spark([0, 1, 100]) == " ▁█" and text.spark([]) == "" and len(text.spark(range(1000), 24)) <= 24
    assert text.bar(50, 25, 100, 8) == "    ━━" and text.bar(50, None, 100, 8) == "    ━━━▶"


@pytest.mark.parametrize("wrong", ["yesterday", "5", "-1h", "2026-13-01", "9999999d", "", "1h; DROP"])
def test_what_is_no_time(wrong: str) -> None:
    with pytest.raises(UsageError, match="is no time"):
        ask.window(wrong, None, NOW)


def test_windows_are_whole_and_have_a_grain_that_suits() -> None:
    hour = ask.window("1h", None, NOW)
    assert (hour.since, hour.until, hour.grain) == (
        datetime(2026, 11, 25, 11, 34, tzinfo=UTC), datetime(2026, 11, 25, 12, 35, tzinfo=UTC), MINUTE)
    week = ask.window("7d", None, NOW)
    assert (week.since.minute, week.until.hour, week.grain) == (0, 13, HOUR)
    assert ask.window("400d", None, NOW).grain == DAY
    old = Window.of(NOW - 30 * DAY, NOW - 30 * DAY + HOUR, now=NOW)  # rollups by minute are gone by then
    assert old.since.minute == 0 and old.grain == HOUR
    assert week.previous.until == week.since and week.previous.until - week.previous.since == week.until - week.since
    exact = ask.exactly("1h", None, NOW)
    assert exact.until - exact.since == timedelta(hours=1)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 220])
def test_a_narrow_terminal_leaves_columns_out_and_never_cuts_a_figure(width: int) -> None:
    rows = [ToolSummary(name="search_" * 9, service="s", totals=Totals(calls=1_234_567, p50_ms=123.0, p95_ms=4567.0),
                        listed=True, context_tokens=180, spark=(1, 2, 3))]
    out = io.StringIO()
    Console(file=out, width=width, markup=False).print(tables.tools(rows, UTC))
    said = out.getvalue()
    head, row, *more = said.splitlines()
    assert all(cell_len(line) <= width for line in said.splitlines())
    assert "1,234,567" in row and "4.6 s" in row
    assert [name for name in ("tool", "calls", "p95") if name not in head] == []
    spare = ("errors", "p99", "tokens in", "tokens out", "listing costs", "last called")
    left = [name for name in spare if name not in head]
    assert ("wider terminal" in " ".join(more)) == bool(left)
    assert all(name.split()[0] in " ".join(more) for name in left)
