"""Filters stand in the URL; what cannot be read is said; links keep what they should."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from mcp_weir.dashboard.filters import Param, read
from mcp_weir.errors import UsageError

NOW = datetime(2026, 11, 25, 12, 30, 10, tzinfo=UTC)
PARAMS = (Param("tool", "Tool"), Param("era", "Era", ("legacy", "modern")))


def test_a_window_ends_now() -> None:
    asked = read({"window": "6h"}, PARAMS, NOW)
    assert (asked.start, asked.end) == (NOW - timedelta(hours=6), NOW)
    assert read({}, PARAMS, NOW).window == "1h"


def test_a_custom_window_is_kept_by_every_link() -> None:
    asked = read({"from": "2026-11-25T08:00", "to": "2026-11-25T10:00", "tool": "a&b", "service": "s"}, PARAMS, NOW)
    for link in (asked.to("/tools"), asked.here("/errors", era="legacy")):
        query = parse_qs(urlsplit(link).query)
        assert query["from"] == ["2026-11-25T08:00:00"] and query["to"] == ["2026-11-25T10:00:00"]
        assert query["service"] == ["s"]
    assert parse_qs(urlsplit(asked.here("/errors", era="legacy")).query)["tool"] == ["a&b"]
    assert "a%26b" not in asked.to("/tools")
    longer = parse_qs(urlsplit(asked.here("/", window="7d")).query)
    assert longer == {"window": ["7d"], "service": ["s"], "tool": ["a&b"]}


def test_a_link_leads_to_itself() -> None:
    asked = read({"window": "24h", "era": "modern", "after": "cursor", "tool": "x"}, PARAMS, NOW)
    again = read({k: v[0] for k, v in parse_qs(urlsplit(asked.here("/")).query).items()}, PARAMS, NOW)
    assert (again.window, again.own, again.after) == (asked.window, asked.own, None)


@pytest.mark.parametrize(("query", "says"), [
    ({"window": "2h"}, "window must be one of"), ({"era": "ancient"}, "era must be one of"),
    ({"from": "yesterday"}, "from must be a time"), ({"from": "2026-11-25T12:00", "to": "2026-11-25T11:00"}, "before"),
    ({"from": "2020-01-01"}, "400 days"), ({"tool": "x" * 301}, "300 characters"), ({"tool": "\0"}, "NUL"),
    ({"limit": "0"}, "limit"), ({"limit": "501"}, "limit"), ({"limit": "²"}, "limit"),
    ({"from": "9999-12-31T23:59"}, "from"),
])
def test_what_cannot_be_read_is_said(query: dict[str, str], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        read(query, PARAMS, NOW)


def test_a_lone_surrogate_does_no_harm() -> None:
    assert read({"tool": "\ud800x"}, PARAMS, NOW)["tool"] == "?x"
