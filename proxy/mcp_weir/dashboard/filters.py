"""What a page is asked for, read from its URL, and the links that keep it. Pure; `now` is an argument.

Every filter stands in the query string: a copied link shows the same page.
"""

import dataclasses
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from urllib.parse import urlencode

from mcp_weir.errors import UsageError

WINDOWS = {"15m": 900, "1h": 3600, "6h": 6 * 3600, "24h": 86400, "7d": 7 * 86400, "30d": 30 * 86400}
DEFAULT_WINDOW = "1h"
LONGEST = timedelta(days=400)
MOST = 500  # rows on a page
_TEXT_MAX = 300


@dataclasses.dataclass(frozen=True, slots=True)
class Param:
    """One query parameter of a page; `choices` empty means free text."""

    name: str
    says: str
    choices: tuple[str, ...] = ()


# What every page takes, and a move to another page takes along.
SHARED = (
    Param("window", "The window up to now", tuple(WINDOWS)),
    Param("from", "Start in UTC, as 2026-11-25T14:30, in place of a window"),
    Param("to", "End in UTC, exclusive"),
    Param("service", "Only this service"),
)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """Start (inclusive) and end (exclusive) in UTC, the service if one was chosen, and the page's own filters."""

    window: str
    start: datetime
    end: datetime
    service: str | None
    own: dict[str, str]
    after: str | None
    limit: int | None
    now: datetime

    def __getitem__(self, name: str) -> str | None:
        return self.own.get(name)

    @property
    def seconds(self) -> float:
        """The window's length."""
        return (self.end - self.start).total_seconds()

    @property
    def before(self) -> tuple[datetime, datetime]:
        """The period of the same length just before."""
        return self.start - (self.end - self.start), self.start

    @property
    def says(self) -> str:
        """The window in words."""
        return f"last {self.window}" if self.window != "custom" else f"{self.start:%Y-%m-%d %H:%M} – {self.end:%H:%M}"

    def kept(self) -> dict[str, str]:
        """The filters that go along to every page."""
        found = {}
        if self.window == "custom":
            found = {"from": _iso(self.start), "to": _iso(self.end)}
        elif self.window != DEFAULT_WINDOW:
            found = {"window": self.window}
        return found | ({"service": self.service} if self.service else {})

    def to(self, path: str, **query: object) -> str:
        """A link to another page in the same window and service."""
        return _url(path, self.kept() | _texts(query))

    def here(self, path: str, **changes: object) -> str:
        """A link to this page with changed filters (None drops one); paging starts over unless `after` is given."""
        query: dict[str, object] = {**self.kept(), **self.own, **changes}
        if "window" in changes:
            query |= {"from": None, "to": None}
        return _url(path, _texts(query))


def read(query: Mapping[str, str], params: Iterable[Param], now: datetime) -> Filters:
    """Filters from a query string. Raises UsageError, in words, for what cannot be read."""
    window = query.get("window", DEFAULT_WINDOW)
    if query.get("from") or query.get("to"):
        end = _instant("to", query["to"]) if query.get("to") else now
        start = _instant("from", query["from"]) if query.get("from") else end - timedelta(hours=1)
        window = "custom"
    elif window in WINDOWS:
        start, end = now - timedelta(seconds=WINDOWS[window]), now
    else:
        raise UsageError(f"window must be one of {', '.join(WINDOWS)}, or give from and to")
    if not timedelta(0) < end - start <= LONGEST:
        raise UsageError(f"from must lie before to, by {LONGEST.days} days at most")
    own = {param.name: _own(param, query[param.name]) for param in params if query.get(param.name)}
    return Filters(
        window=window, start=start, end=end, service=_text("service", query.get("service", "")) or None, own=own,
        after=_text("after", query.get("after", "")) or None, limit=_limit(query.get("limit")), now=now,
    )


def _own(param: Param, said: str) -> str:
    if param.choices and said not in param.choices:
        raise UsageError(f"{param.name} must be one of {', '.join(param.choices)}")
    return _text(param.name, said)


def _text(name: str, said: str) -> str:
    if "\x00" in said or len(said) > _TEXT_MAX:
        raise UsageError(f"{name} must be at most {_TEXT_MAX} characters, without NUL")
    return said.encode(errors="replace").decode()


def _limit(said: str | None) -> int | None:
    if not said:
        return None
    if not (said.isascii() and said.isdigit() and 1 <= int(said[:9]) <= MOST):
        raise UsageError(f"limit must be a number from 1 to {MOST}")
    return int(said)


def _instant(name: str, said: str) -> datetime:
    try:
        found = datetime.fromisoformat(said)
        found = found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
        if not 2000 <= found.year < 2200:
            raise ValueError
    except (ValueError, OverflowError):
        raise UsageError(f"{name} must be a time in UTC, as 2026-11-25T14:30") from None
    return found


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _texts(query: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in query.items() if value not in (None, "")}


def _url(path: str, query: Mapping[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
