"""What a reading command was asked: windows from --since and --until, filters from flags."""

import re
from datetime import UTC, datetime, timedelta

from mcp_weir.errors import UsageError
from mcp_weir.store.shapes import Window

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}


def window(since: str, until: str | None, now: datetime | None = None) -> Window:
    """The window that --since and --until name. Raises UsageError for what is neither a duration nor a time."""
    now = now or datetime.now(UTC)
    end = now if until is None else moment(until, "--until", now)
    begin = moment(since, "--since", now)
    if begin >= end:
        raise UsageError(f"--since {since!r} is not before --until {until or 'now'!r}")
    return Window.of(begin, end, now=now)


def exactly(since: str, until: str | None, now: datetime | None = None) -> Window:
    """As `window`, to the microsecond: for lists and exports, which need no rollup."""
    made = window(since, until, now)
    now = now or datetime.now(UTC)
    return Window(moment(since, "--since", now), now if until is None else moment(until, "--until", now), made.grain)


def moment(said: str, flag: str, now: datetime) -> datetime:
    """`2h` ago, or an ISO 8601 time (without an offset: this machine's clock)."""
    found = re.fullmatch(r"(\d{1,6})([smhdw])", said.strip())
    try:
        if found is not None:
            return now - timedelta(seconds=int(found[1]) * _UNITS[found[2]])
        return datetime.fromisoformat(said.strip().replace("Z", "+00:00")).astimezone(UTC)
    except (ValueError, OverflowError):
        raise UsageError(f"{flag} {said[:40]!r} is no time; write 30s, 15m, 2h, 7d or 2026-01-31T12:00:00Z") from None
