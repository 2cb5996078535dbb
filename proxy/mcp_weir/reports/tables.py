"""Lists as tables: which columns, in which order, and how a cell reads."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from mcp_weir.reports.text import clock, count, inert, ms, share, size, span, spark, zone_name
from mcp_weir.store.shapes import (
    ClientSummary,
    CoverageRow,
    ErrorGroup,
    PrincipalSummary,
    RequestRow,
    SearchHit,
    SessionSummary,
    Share,
    StreamRow,
    ToolSummary,
)

_STYLES = {"active": "green", "idle": "yellow", "running": "cyan", "ok": "green"}


_SHORTEST = 12  # to which a column of words is cut before another column is left out
_BETWEEN = 2


@dataclass(frozen=True, slots=True)
class Column:
    """A head, how a row's cell reads, and whether it stands to the right.

    `spare`: where the terminal is narrow, the highest is left out first; 0 never is. `words` may be cut, figures never.
    """

    head: str
    cell: Callable[[Any], str]
    right: bool = False
    style: Callable[[Any], str] | None = None
    spare: int = 0
    words: bool = False


@dataclass(frozen=True, slots=True)
class Fitted:
    """A table that leaves out columns, and says which, rather than cut figures to their first digit."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[Text]]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        shown, widths = self._fit(options.max_width)
        made = Table(header_style="bold", box=None, pad_edge=False)
        for n in shown:
            made.add_column(Text(self.columns[n].head), justify="right" if self.columns[n].right else "left",
                            no_wrap=True, overflow="ellipsis", width=widths[n])
        for row in self.rows:
            made.add_row(*(row[n] for n in shown))
        yield made
        out = [column.head for n, column in enumerate(self.columns) if n not in shown]
        if out and self.rows:
            yield Text(f"(a wider terminal also shows: {', '.join(out)})", style="dim")

    def _fit(self, room: int) -> tuple[list[int], list[int]]:
        """Which columns, and how wide each is: spare ones go first, then the longest words are cut."""
        widths = [max([cell_len(column.head), *(row[n].cell_len for row in self.rows)])
                  for n, column in enumerate(self.columns)]
        least = [min(width, max(_SHORTEST, cell_len(column.head))) if column.words else width
                 for column, width in zip(self.columns, widths, strict=True)]
        shown = list(range(len(self.columns)))
        while sum(least[n] + _BETWEEN for n in shown) - _BETWEEN > room:
            last = max(reversed(shown), key=lambda n: self.columns[n].spare)
            if not self.columns[last].spare:
                break
            shown.remove(last)
        over = sum(widths[n] + _BETWEEN for n in shown) - _BETWEEN - room
        while over > 0 and (long := [n for n in shown if widths[n] > least[n]]):
            longest = max(long, key=lambda n: widths[n])
            widths[longest] -= 1
            over -= 1
        return shown, widths


def table(columns: Sequence[Column], rows: Iterable[object]) -> Fitted:
    """A table of inert text, as wide as it can be."""
    return Fitted(columns, [_cells(columns, row) for row in rows])


def _cells(columns: Sequence[Column], row: object) -> list[Text]:
    return [Text(inert(c.cell(row)), style=c.style(row) if c.style else "") for c in columns]


def lines(columns: Sequence[Column], rows: Iterable[object], *, header: bool) -> Table:
    """Rows for a list that grows: columns of a fixed width, the head only once."""
    made = Table(header_style="bold", box=None, pad_edge=False, show_header=header)
    for column, width in zip(columns, (19, 8, 14, 22, 24, 16, 9, 9, None), strict=True):
        made.add_column(Text(column.head), justify="right" if column.right else "left", no_wrap=True,
                        overflow="ellipsis", width=width)
    for row in rows:
        made.add_row(*_cells(columns, row))
    return made


def failed(row: RequestRow) -> str:
    """The style of an outcome."""
    return "red" if row.is_error else _STYLES.get(row.outcome, "")


def sessions(rows: Sequence[SessionSummary], zone: tzinfo | None) -> Fitted:
    """Who came."""
    return table([
        Column(f"last seen ({zone_name(zone)})", lambda s: clock(s.last_seen_at, zone)),
        Column("session", lambda s: str(s.session_key)[:13]),
        Column("client", lambda s: f"{s.client_label or '?'} {s.client_version or ''}", words=True),
        Column("era", lambda s: s.era, spare=4),
        Column("status", lambda s: s.end_reason or s.status, style=lambda s: _STYLES.get(s.status, "")),
        Column("lasted", lambda s: span(s.duration_ms / 1000), right=True, spare=3),
        Column("requests", lambda s: count(s.request_count), right=True, spare=5),
        Column("calls", lambda s: count(s.tool_call_count), right=True),
        Column("errors", lambda s: count(s.error_count), right=True, style=lambda s: "red" if s.error_count else ""),
        Column("tokens", lambda s: count(s.tokens_in + s.tokens_out), right=True, spare=6),
        Column("user", lambda s: s.principal or (s.principal_key or "")[:8], spare=2, words=True),
        Column("source", lambda s: s.source if s.confidence >= 1 else f"{s.source} {s.confidence:.0%}", spare=7),
    ], rows)


def requests(rows: Sequence[RequestRow], zone: tzinfo | None) -> Fitted:
    """What was asked, and how it ended."""
    return table(request_columns(zone), rows)


def request_columns(zone: tzinfo | None) -> list[Column]:
    """The columns of a request."""
    return [
        Column(f"started ({zone_name(zone)})", lambda r: clock(r.started_at, zone)),
        Column("session", lambda r: str(r.session_key or "")[:8], spare=2),
        Column("client", lambda r: r.client_label or "", spare=3, words=True),
        Column("method", lambda r: ("< " if r.direction == "server" else "") + (r.method or r.http_method or ""),
               words=True),
        Column("target", lambda r: r.target or "", words=True),
        Column("outcome", lambda r: r.outcome, style=failed),
        Column("time", lambda r: ms(r.duration_ms), right=True),
        Column("bytes", lambda r: size(r.response_bytes), right=True, spare=4),
        Column("what", lambda r: " ".join(filter(None, [
            f"HTTP {r.http_status}" if r.http_status and r.http_status >= 400 else "",
            str(r.error_code) if r.error_code is not None else "", r.error_message, *r.flags])),
               spare=1, words=True),
    ]


def tools(rows: Sequence[ToolSummary], zone: tzinfo | None) -> Fitted:
    """Volume, latency, errors."""
    return table([
        Column("tool", lambda t: t.name, words=True),
        Column("calls", lambda t: count(t.totals.calls), right=True),
        Column("errors", lambda t: count(t.totals.errors), right=True,
               style=lambda t: "red" if t.totals.errors else "", spare=2),
        Column("rate", lambda t: share(t.totals.error_rate) if t.totals.requests else "", right=True),
        Column("p50", lambda t: ms(t.totals.p50_ms), right=True),
        Column("p95", lambda t: ms(t.totals.p95_ms), right=True),
        Column("p99", lambda t: ms(t.totals.p99_ms), right=True, spare=3),
        Column("tokens in", lambda t: count(t.totals.tokens_in), right=True, spare=6),
        Column("tokens out", lambda t: count(t.totals.tokens_out), right=True, spare=5),
        Column("listing costs", lambda t: count(t.context_tokens) if t.listed else "", right=True, spare=7),
        Column(f"last called ({zone_name(zone)})", lambda t: clock(t.last_called_at, zone), spare=4),
        Column("calls over time", lambda t: spark(t.spark, 24), spare=1),
    ], rows)


def clients(rows: Sequence[ClientSummary], zone: tzinfo | None) -> Fitted:
    """Clients and the revisions they speak."""
    return table([
        Column("client", lambda c: c.label or "(unknown)", words=True),
        Column("sessions", lambda c: count(c.sessions), right=True),
        Column("ghosts", lambda c: count(c.ghosts), right=True, spare=4),
        Column("requests", lambda c: count(c.totals.requests), right=True, spare=5),
        Column("calls", lambda c: count(c.totals.calls), right=True),
        Column("errors", lambda c: share(c.totals.error_rate), right=True),
        Column("p95", lambda c: ms(c.totals.p95_ms), right=True),
        Column("speaks", lambda c: ", ".join(c.protocol_versions), spare=2, words=True),
        Column("versions", lambda c: ", ".join(c.versions[:4]) + (", …" if len(c.versions) > 4 else ""), spare=6,
               words=True),
        Column(f"last seen ({zone_name(zone)})", lambda c: clock(c.last_seen_at, zone), spare=3),
    ], rows)


def streams(rows: Sequence[StreamRow], zone: tzinfo | None) -> Fitted:
    """Standing streams."""
    return table([
        Column(f"opened ({zone_name(zone)})", lambda s: clock(s.opened_at, zone)),
        Column("kind", lambda s: s.kind),
        Column("session", lambda s: str(s.session_key or "")[:8], spare=2),
        Column("client", lambda s: s.client_label or "", words=True),
        Column("lived", lambda s: span(s.duration_ms / 1000), right=True),
        Column("closed by", lambda s: s.closed_by or "(open)"),
        Column("events", lambda s: count(s.events), right=True),
        Column("bytes", lambda s: size(s.bytes), right=True),
        Column("resumes", lambda s: str(s.resumed_from or "")[:8], spare=3),
    ], rows)


def coverage(rows: Sequence[CoverageRow], zone: tzinfo | None) -> Fitted:
    """Exchanges seen against stored."""
    return table([
        Column(f"minute ({zone_name(zone)})", lambda m: clock(m.minute, zone)[:16]),
        Column("service", lambda m: m.service, spare=3, words=True),
        Column("instance", lambda m: m.instance, spare=2, words=True),
        Column("seen", lambda m: count(m.seen), right=True),
        Column("stored", lambda m: count(m.stored), right=True),
        Column("waiting", lambda m: count(m.waiting), right=True),
        Column("open", lambda m: count(m.open), right=True),
        Column("dropped", lambda m: count(m.dropped), right=True, style=lambda m: "red" if m.dropped else ""),
        Column("quarantined", lambda m: count(m.quarantined), right=True, spare=4),
        Column("why", lambda m: ", ".join(f"{n} {reason}" for reason, n in sorted(m.reasons.items())), spare=1,
               words=True),
    ], rows)


def users(rows: Sequence[PrincipalSummary], zone: tzinfo | None) -> Fitted:
    """Principals: by name where it was kept, else by the key's first digits."""
    return table([
        Column("user", lambda u: u.principal or u.principal_key[:16], words=True),
        Column("sessions", lambda u: count(u.sessions), right=True),
        Column("requests", lambda u: count(u.requests), right=True, spare=4),
        Column("calls", lambda u: count(u.calls), right=True),
        Column("errors", lambda u: count(u.errors), right=True, style=lambda u: "red" if u.errors else ""),
        Column("tokens in", lambda u: count(u.tokens_in), right=True, spare=5),
        Column("tokens out", lambda u: count(u.tokens_out), right=True, spare=3),
        Column("clients", lambda u: ", ".join(u.clients), spare=2, words=True),
        Column(f"last seen ({zone_name(zone)})", lambda u: clock(u.last_seen_at, zone)),
    ], rows)


def hits(rows: Sequence[SearchHit], zone: tzinfo | None) -> Fitted:
    """What a search found."""
    return table([
        Column("kind", lambda h: h.kind),
        Column("what", lambda h: h.title, words=True),
        Column("key", _key, words=True),
        Column("detail", lambda h: h.detail, words=True),
        Column(f"when ({zone_name(zone)})", lambda h: clock(h.at, zone), spare=1),
    ], rows)


def errors(rows: Sequence[ErrorGroup], zone: tzinfo | None) -> Fitted:
    """Failures alike."""
    return table([
        Column("count", lambda e: count(e.count), right=True),
        Column("layer", lambda e: e.layer, spare=3),
        Column("fault", lambda e: e.fault),
        Column("outcome", lambda e: e.outcome, style=lambda e: "red"),
        Column("what", _what_failed, words=True),
        Column("code", _code, right=True, spare=2),
        Column("message", lambda e: e.message or "", words=True),
        Column("clients", lambda e: ", ".join(e.clients[:3]), spare=4, words=True),
        Column(f"last ({zone_name(zone)})", lambda e: clock(e.last_at, zone), spare=1),
    ], rows)


def _key(hit: SearchHit) -> str:
    """As much of it as tells it apart: `session` takes how a key begins, a request's begins as its neighbours' do."""
    if hit.kind == "session":
        return hit.key[:13]
    return hit.key if hit.key != hit.title else ""


def _what_failed(group: ErrorGroup) -> str:
    if group.method == "tools/call" and group.target:
        return group.target
    return f"{group.method or ''} {group.target or ''}".strip()


def _code(group: ErrorGroup) -> str:
    if group.error_code is not None:
        return str(group.error_code)
    return str(group.http_status) if (group.http_status or 0) >= 400 else ""


def shares(rows: Sequence[Share], head: str) -> Fitted:
    """Names with counts."""
    return table([
        Column(head, lambda s: s.name or "(unknown)", words=True),
        Column("requests", lambda s: count(s.count), right=True),
        Column("errors", lambda s: count(s.errors), right=True, style=lambda s: "red" if s.errors else ""),
    ], rows)
