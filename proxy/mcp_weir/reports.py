"""Reads of the public views as terminal tables and JSON."""

import io
import json
import re
from datetime import UTC, datetime, timedelta

from rich.console import Console
from rich.table import Table

from mcp_weir.errors import UsageError
from mcp_weir.store import views

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SHOWN = {
    "sessions": ("started_at", "era", "client_name", "client_version", "status", "request_count", "tool_call_count",
                 "error_count", "source", "confidence", "session_key"),
    "requests": ("started_at", "direction", "method", "target", "outcome", "duration_ms", "client_name", "flags"),
    "streams": ("opened_at", "closed_at", "kind", "closed_by", "events", "bytes", "session_key"),
    "coverage": ("minute", "instance", "seen", "stored", "spooled", "dropped", "quarantined"),
}


def render(url: str, view: str, *, since: str | None, limit: int, as_json: bool) -> str:
    """The newest rows of a public view. Raises UsageError for a bad `since`, StoreError when unreachable."""
    after = _after(since)
    found = views.newest(url, view, after=after, limit=limit)
    if as_json:
        return json.dumps([{k: _plain(v) for k, v in row.items()} for row in found], default=str)
    table = Table(*_SHOWN[view])
    for row in found:
        table.add_row(*("" if row[name] is None else repr(_cell(row[name]))[1:-1] for name in _SHOWN[view]))
    out = Console(file=io.StringIO(), width=160)
    out.print(table)
    return str(out.file.getvalue())  # type: ignore[attr-defined]


def _cell(value: object) -> str:
    """As text; markup and control characters stay inert (repr is taken of it)."""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return f"{value:.1f}" if isinstance(value, float) else str(value).replace("[", "(").replace("]", ")")


def _plain(value: object) -> object:
    return value.hex() if isinstance(value, bytes) else value


def _after(since: str | None) -> datetime:
    if since is None:
        return datetime(1970, 1, 1, tzinfo=UTC)
    found = re.fullmatch(r"(\d{1,6})([smhd])", since)
    if found is None:
        raise UsageError(f"--since {since!r} is no duration; write 30s, 15m, 2h or 7d")
    return datetime.now(UTC) - timedelta(seconds=int(found[1]) * _UNITS[found[2]])
