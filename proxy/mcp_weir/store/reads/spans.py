"""From a window to the steps of rollups that make it up, and the sources that read them.

Whole days, then the hours and minutes of its edges. An edge of more than half a step is the whole step less what lies
outside: a window of an hour reads 30 minutes by the minute at most. Edges are reckoned here and not in SQL, where their
functions took longer to plan than the rows took to read.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from psycopg import sql

from mcp_weir.store.reads.queries import composed, fragment
from mcp_weir.store.shapes import DAY, HOUR, MINUTE, Window
from mcp_weir.store.shapes.windows import floor

_STEPS = {"day": DAY, "hour": HOUR, "minute": MINUTE}
_FINER = {"day": "hour", "hour": "minute"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OPEN = datetime(9999, 12, 31, tzinfo=UTC)  # the end of a window that is not past yet: it asks for no edge there
_TABLES = {"counts": "facet", "latencies": "latency"}
_NAMES = {"tool": "target", "client": "client", "method": "method"}
_TWO_DAYS = 2 * DAY


@dataclass(frozen=True, slots=True)
class Span:
    """The steps of one rollup in [since, until): to be added, or to be taken off."""

    level: str  # day | hour | minute
    since: datetime
    until: datetime
    less: bool = False


def spans(window: Window, now: datetime | None = None) -> tuple[Span, ...]:
    """What adds up to the window. `now` tells whether its end is past."""
    now = now or datetime.now(UTC)
    until = window.until if window.until < now else _OPEN
    return tuple(_cover("day", window.since, until, False, now))


def latency_spans(window: Window, now: datetime | None = None) -> tuple[Span, ...]:
    """The same for percentiles: of more than two days they count the first day whole.

    Its hours alone would be as many rows as the other days.
    """
    if window.until - window.since > _TWO_DAYS:
        window = Window(floor(window.since, DAY), window.until, window.grain)
    return spans(window, now)


def sources(facet: str, window: Window) -> tuple[dict[str, sql.Composable], dict[str, object]]:
    """What reads `facet` over the window, as parts of a query with their parameters.

    `counts`: name, service, is_call, outcome and sums, several rows of each. `latencies`: name, service,
    latency_bucket, calls.
    """
    values: dict[str, object] = {}
    parts = {"counts": _union(facet, "counts", spans(window), values),
             "latencies": _union(facet, "latencies", latency_spans(window), values)}
    return parts, values


def hours_and_days(window: Window, now: datetime | None = None) -> list[Span]:
    """The window's hours and whole days, nothing taken off: for what is no sum."""
    start = floor(window.since, HOUR)
    first = -(-(start - _EPOCH) // DAY) * DAY + _EPOCH
    last = floor(window.until, DAY) if window.until < (now or datetime.now(UTC)) else _OPEN
    if first >= min(last, window.until):
        return [Span("hour", start, window.until)]
    edges = [Span("hour", start, first), Span("hour", last, window.until)]
    return [Span("day", first, last), *(span for span in edges if span.since < span.until)]


def named(name: str, at: datetime, values: dict[str, object]) -> sql.Placeholder:
    """A parameter for a time, noted among the values."""
    values[name] = at
    return sql.Placeholder(name)


def _cover(level: str, since: datetime, until: datetime, less: bool, now: datetime) -> Iterator[Span]:
    if level == "minute":
        yield Span(level, since, until, less)
        return
    first, last = _nearest(since, level), _nearest(until, level)
    if first >= min(last, now):
        yield from _cover(_FINER[level], since, until, less, now)
        return
    yield Span(level, first, last, less)
    for one, other in ((since, first), (last, until)):
        if one < other:
            yield from _cover(_FINER[level], one, other, less, now)
        elif other < one:
            yield from _cover(_FINER[level], other, one, not less, now)


def _nearest(at: datetime, level: str) -> datetime:
    step = _STEPS[level]
    return at if at == _OPEN else floor(at + step / 2, step)


def _union(facet: str, what: str, parts: Sequence[Span], values: dict[str, object]) -> sql.Composable:
    return sql.SQL("({})").format(sql.SQL(" UNION ALL ").join(
        _source(facet, what, span, [named(f"{what}_{n}_since", span.since, values),
                                    named(f"{what}_{n}_until", span.until, values)])
        for n, span in enumerate(parts)))


def _source(facet: str, what: str, span: Span, bounds: Sequence[sql.Placeholder]) -> sql.Composable:
    sign = sql.SQL("-" if span.less else "")
    named: dict[str, sql.Composable] = {"since": bounds[0], "until": bounds[1], "sign": sign}
    if span.level != "minute":
        return composed(f"_span_{what}", {**named, "table": sql.SQL(f"weir.{_TABLES[what]}_{span.level}")})
    if facet == "all":
        return composed(f"_span_{what}_all", named)
    narrowed = fragment("_span_calls") if facet == "tool" else sql.SQL("true")
    return composed(f"_span_{what}_minute", {**named, "name": sql.SQL(_NAMES[facet]), "of": narrowed})
