"""Figures of a window: equal to what was put in, whichever rollups they are composed of."""

import math
import random
from datetime import timedelta
from typing import Any

import psycopg
import pytest
from tests.store.conftest import NOW, SERVICE, World

from mcp_weir.store import reads
from mcp_weir.store.shapes import DAY, HOUR, MINUTE, Filter, Thresholds, Window
from mcp_weir.store.shapes.windows import floor

ERRORS = {"tool_error", "rpc_error", "http_error"}


@pytest.fixture
def river(world: World) -> World:
    """600 requests over four days, thicker towards now."""
    draw = random.Random(5)
    for number in range(600):
        server = number % 40 == 7
        method = draw.choices(["tools/call", "tools/list", "resources/read"], [8, 1, 1])[0]
        method = "sampling/createMessage" if server else method
        world.request(
            started_at=NOW - timedelta(seconds=(4 * 86400) * draw.random() ** 3 + 1),
            method=method,
            target={"tools/call": draw.choice(["add", "slow", "fail"]), "resources/read": "file:///x"}.get(method),
            outcome=draw.choices(["ok", "tool_error", "rpc_error", "cancelled"], [8, 2, 1, 1])[0],
            client_label=draw.choice(["claude", "cursor"]),
            service=draw.choice([SERVICE, "other:1"]),
            duration_ms=None if number % 50 == 0 else draw.lognormvariate(3, 1.5),
            direction="server" if server else "client",
        )
    world.store()
    return world


def within(world: World, window: Window, **like: object) -> list[dict[str, Any]]:
    return [row for row in world.rows if window.since <= row["started_at"] < window.until
            and all(row[name] == value for name, value in like.items())]


def windows() -> list[Window]:
    draw = random.Random(9)
    made = [Window.last(length, NOW + MINUTE) for length in (HOUR, 6 * HOUR, DAY, 3 * DAY, 7 * DAY)]
    for _ in range(25):
        since = NOW - draw.random() * 4 * DAY
        made.append(Window.of(since, since + draw.random() ** 2 * 3 * DAY + MINUTE))
    return made


async def test_every_window_counts_what_lies_in_it(river: World, conn: psycopg.AsyncConnection) -> None:
    for window in windows():
        found, rows = await reads.totals(conn, window), within(river, window)
        calls = [row for row in rows if row["method"] == "tools/call" and row["direction"] == "client"]
        assert (found.requests, found.calls) == (len(rows), len(calls)), window
        assert found.errors == sum(row["outcome"] in ERRORS for row in rows)
        assert found.call_errors == sum(row["outcome"] in ERRORS for row in calls)
        assert found.response_bytes == 200 * len(rows)


async def test_percentiles_are_within_half_a_bucket(river: World, conn: psycopg.AsyncConnection) -> None:
    window = Window.last(7 * DAY, NOW + MINUTE)
    calls = within(river, window, method="tools/call", direction="client")
    timed = sorted(row["duration_ms"] for row in calls if row["duration_ms"] is not None)
    found = await reads.totals(conn, window)
    for said, share in ((found.p50_ms, 0.5), (found.p95_ms, 0.95), (found.p99_ms, 0.99)):
        exact = timed[math.ceil(share * len(timed)) - 1]
        assert said is not None and abs(said / exact - 1) <= 0.045
    assert found.mean_ms == pytest.approx(sum(timed) / len(timed), rel=1e-3)


@pytest.mark.parametrize("filters", [
    {"service": SERVICE}, {"client": "cursor"}, {"tool": "slow"}, {"outcome": "tool_error"}, {"errors": True},
    {"client": "cursor", "tool": "fail"}, {"method": "resources/read"}, {"direction": "server"},
    {"service": SERVICE, "client": "claude", "outcome": "ok"},
])
async def test_filters_mean_the_same_to_every_rollup(
    river: World, conn: psycopg.AsyncConnection, filters: dict[str, Any]
) -> None:
    for window in windows()[:8]:
        rows = within(river, window)
        for name, value in filters.items():
            rows = [row for row in rows if {
                "service": row["service"] == value, "client": row["client_label"] == value,
                "tool": (row["method"], row["target"]) == ("tools/call", value) and row["direction"] == "client",
                "outcome": row["outcome"] == value, "method": row["method"] == value,
                "direction": row["direction"] == value, "errors": row["outcome"] in ERRORS,
            }[name]]
        found = await reads.totals(conn, window, Filter(**filters))
        assert found.requests == len(rows), window
        points = await reads.series(conn, window, Filter(**filters))
        if window.since == points[0].at:
            assert sum(point.requests for point in points) == len(rows)


async def test_tools_and_clients_add_up_to_the_whole(river: World, conn: psycopg.AsyncConnection) -> None:
    for window in windows()[:6]:
        whole = await reads.totals(conn, window)
        tools, clients = await reads.tools(conn, window), await reads.clients(conn, window)
        assert sum(tool.totals.calls for tool in tools) == whole.calls
        assert sum(client.totals.requests for client in clients) == whole.requests
        for tool in tools:
            one = await reads.totals(conn, window, Filter(tool=tool.name, service=tool.service))
            assert one == tool.totals
    spark = (await reads.tools(conn, Window.last(7 * DAY, NOW + MINUTE)))[0]
    assert sum(spark.spark) == spark.totals.calls


async def test_a_tool_whole(river: World, conn: psycopg.AsyncConnection) -> None:
    window = Window.last(7 * DAY, NOW + MINUTE)
    found = await reads.tool(conn, window, "slow")
    assert found is not None
    rows = within(river, window, method="tools/call", target="slow", direction="client")
    assert sum(share.count for share in found.callers) == len(rows)
    assert {share.name: share.count for share in found.outcomes} == {
        outcome: sum(row["outcome"] == outcome for row in rows) for outcome in {row["outcome"] for row in rows}}
    slowest = sorted((row["duration_ms"] or -1 for row in rows), reverse=True)[:10]
    assert [row.duration_ms for row in found.slowest] == slowest
    assert sum(group.count for group in found.errors) == sum(row["outcome"] in ERRORS for row in rows)
    assert await reads.tool(conn, window, "nobody") is None


@pytest.mark.parametrize(("back", "length"), [(0, 1), (0, 20), (0, 30), (0, 90), (30, 60), (25, 3), (1, 95), (50, 24)])
@pytest.mark.parametrize("client", [None, "cursor"])
async def test_failures_over_days_and_edges_are_those_of_the_rows(
    river: World, conn: psycopg.AsyncConnection, back: int, length: int, client: str | None
) -> None:
    """Whole days come from days, the rest from hours: of every window the sum is what its hours hold."""
    until = NOW - back * HOUR if back else NOW + MINUTE
    window = Window.of(until - length * HOUR, until)
    first, last = floor(window.since, HOUR), floor(window.until - timedelta(microseconds=1), HOUR) + HOUR
    expected: dict[tuple[str, str | None], list[dict[str, Any]]] = {}
    for row in river.rows:
        if row["outcome"] in ERRORS and first <= row["started_at"] < last and client in (None, row["client_label"]):
            expected.setdefault((row["outcome"], row["method"], row["target"]), []).append(row)
    found = await reads.errors(conn, window, Filter(client=client), limit=1000)
    assert {(g.outcome, g.method, g.target): (g.count, set(g.clients), g.last_at) for g in found} == {
        key: (len(rows), {row["client_label"] for row in rows}, max(row["started_at"] for row in rows))
        for key, rows in expected.items()
    }


async def test_the_period_before_is_as_long(river: World, conn: psycopg.AsyncConnection) -> None:
    window = Window.last(DAY, NOW + MINUTE)
    before = await reads.totals(conn, window.previous)
    assert before.requests == len(within(river, window.previous))


async def test_an_empty_database_has_empty_pages(world: World, conn: psycopg.AsyncConnection) -> None:
    view = await reads.overview(conn, Window.last(DAY), await reads.around(conn, Thresholds()))
    assert view.totals.requests == 0 and view.totals.p95_ms is None and view.alerts == () and view.tools == ()
    assert len(view.series) in (24, 25, 26)
