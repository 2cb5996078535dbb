"""Windows, filters and pages: what is asked, and what a piece of a list is. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

T = TypeVar("T")
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MINUTES_KEPT = 13 * DAY  # retention keeps rollups by minute for 14 days
GRAINS = (  # the longest window that gets this grain: a chart has 24 to 170 points
    (2 * HOUR, MINUTE), (6 * HOUR, 5 * MINUTE), (8 * DAY, HOUR), (16 * DAY, 3 * HOUR), (32 * DAY, 6 * HOUR),
)


@dataclass(frozen=True, slots=True)
class Window:
    """From `since` (included) to `until` (not); `grain` is the step of its series.

    Figures come from rollups, so that a window has whole minutes; one of more than six hours, or long ago, whole hours.
    """

    since: datetime
    until: datetime
    grain: timedelta

    @classmethod
    def of(
        cls, since: datetime, until: datetime, grain: timedelta | None = None, now: datetime | None = None
    ) -> "Window":
        """Snapped outwards to whole minutes or hours, with a grain that suits its length and age."""
        recent = (now or datetime.now(UTC)) - since < MINUTES_KEPT
        step = MINUTE if until - since <= 6 * HOUR and recent else HOUR
        since = floor(since, step)
        until = max(floor(until - timedelta(microseconds=1), step) + step, since + step)
        fits = (fine for longest, fine in GRAINS if until - since <= longest and fine >= step)
        return cls(since, until, grain or next(fits, DAY))

    @classmethod
    def last(cls, length: timedelta, now: datetime | None = None) -> "Window":
        """The last hour, day, week up to now."""
        now = now or datetime.now(UTC)
        return cls.of(now - length, now, now=now)

    @property
    def previous(self) -> "Window":
        """The period just before, of the same length."""
        return Window(self.since - (self.until - self.since), self.since, self.grain)


def floor(at: datetime, step: timedelta) -> datetime:
    """The last whole step (of UTC) at or before `at`."""
    return at - (at - datetime(1970, 1, 1, tzinfo=UTC)) % step


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """What to look at; None asks nothing. Each read uses the fields that mean something to it and says which."""

    service: str | None = None
    client: str | None = None  # a client's label
    tool: str | None = None  # the target of tools/call
    target: str | None = None  # any target: tool, prompt, resource
    method: str | None = None
    outcome: str | None = None
    errors: bool = False  # only what weir.is_error says
    direction: str | None = None  # client | server: who asked
    principal: str | None = None  # hex of principal_key, or the principal's text where it is kept
    session: UUID | None = None
    operation: UUID | None = None
    text: str | None = None  # a part of names or messages, any case
    status: str | None = None  # session: active | idle | ended; stream: open | closed
    era: str | None = None  # legacy | modern | unknown
    protocol_version: str | None = None
    source: str | None = None  # header | endpoint | handle | principal | client | request
    end_reason: str | None = None
    kind: str | None = None  # stream kind
    ghosts: bool | None = None  # True: only sessions without a call; False: without them
    slow_ms: float | None = None  # lasted at least so long
    layer: str | None = None  # connection | http | rpc | tool
    fault: str | None = None  # client | server | network | weir

NO_FILTER = Filter()


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A piece of a list; `next` is an opaque cursor for what follows, None at the end."""

    items: tuple[T, ...]
    next: str | None = None
