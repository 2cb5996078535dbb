"""Lists as tables: which columns, in which order, and how a cell reads."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import tzinfo
from typing import Any

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


@dataclass(frozen=True, slots=True)
class Column:
    """A head, how a row's cell reads, and whether it stands to the right."""

    head: str
    cell: Callable[[Any], str]
    right: bool = False
    style: Callable[[Any], str] | None = None


def table(columns: Sequence[Column], rows: Iterable[object], title: str | None = None) -> Table:
    """A table of inert text."""
    made = Table(title=None if title is None else Text(inert(title)), title_justify="left", header_style="bold",
                 box=None, pad_edge=False)
    for column in columns:
        made.add_column(Text(column.head), justify="right" if column.right else "left", no_wrap=True,
                        overflow="ellipsis")
    for row in rows:
        made.add_row(*(Text(inert(c.cell(row)), style=c.style(row) if c.style else "") for c in columns))
    return made


def lines(columns: Sequence[Column], rows: Iterable[object], *, header: bool) -> Table:
    """Rows for a list that grows: columns of a fixed width, the head only once."""
    made = table(columns, rows)
    made.show_header = header
    for column, width in zip(made.columns, (19, 8, 14, 22, 24, 16, 9, 9), strict=False):
        column.width = width
    return made


def failed(row: RequestRow) -> str:
    """The style of an outcome."""
    return "red" if row.is_error else _STYLES.get(row.outcome, "")


def sessions(rows: Sequence[SessionSummary], zone: tzinfo | None) -> Table:
    """Who came."""
    return table([
        Column(f"last seen ({zone_name(zone)})", lambda s: clock(s.last_seen_at, zone)),
        Column("session", lambda s: str(s.session_key)[:13]),
        Column("client", lambda s: f"{s.client_label or '?'} {s.client_version or ''}"),
        Column("era", lambda s: s.era),
        Column("status", lambda s: s.end_reason or s.status, style=lambda s: _STYLES.get(s.status, "")),
        Column("age", lambda s: span(s.duration_ms / 1000), right=True),
        Column("requests", lambda s: count(s.request_count), right=True),
        Column("calls", lambda s: count(s.tool_call_count), right=True),
        Column("errors", lambda s: count(s.error_count), right=True, style=lambda s: "red" if s.error_count else ""),
        Column("tokens", lambda s: count(s.tokens_in + s.tokens_out), right=True),
        Column("user", lambda s: s.principal or (s.principal_key or "")[:8]),
        Column("source", lambda s: s.source if s.confidence >= 1 else f"{s.source} {s.confidence:.0%}"),
    ], rows)


def requests(rows: Sequence[RequestRow], zone: tzinfo | None) -> Table:
    """What was asked, and how it ended."""
    return table(request_columns(zone), rows)


def request_columns(zone: tzinfo | None) -> list[Column]:
    """The columns of a request."""
    return [
        Column(f"started ({zone_name(zone)})", lambda r: clock(r.started_at, zone)),
        Column("session", lambda r: str(r.session_key or "")[:8]),
        Column("client", lambda r: r.client_label or ""),
        Column("method", lambda r: ("< " if r.direction == "server" else "") + (r.method or r.http_method or "")),
        Column("target", lambda r: r.target or ""),
        Column("outcome", lambda r: r.outcome, style=failed),
        Column("time", lambda r: ms(r.duration_ms), right=True),
        Column("bytes", lambda r: size(r.response_bytes), right=True),
        Column("what", lambda r: " ".join(filter(None, [
            f"HTTP {r.http_status}" if r.http_status and r.http_status >= 400 else "",
            str(r.error_code) if r.error_code is not None else "", r.error_message, *r.flags]))),
    ]


def tools(rows: Sequence[ToolSummary], zone: tzinfo | None) -> Table:
    """Volume, latency, errors."""
    return table([
        Column("tool", lambda t: t.name),
        Column("calls", lambda t: count(t.totals.calls), right=True),
        Column("errors", lambda t: count(t.totals.errors), right=True,
               style=lambda t: "red" if t.totals.errors else ""),
        Column("rate", lambda t: share(t.totals.error_rate), right=True),
        Column("p50", lambda t: ms(t.totals.p50_ms), right=True),
        Column("p95", lambda t: ms(t.totals.p95_ms), right=True),
        Column("p99", lambda t: ms(t.totals.p99_ms), right=True),
        Column("tokens in", lambda t: count(t.totals.tokens_in), right=True),
        Column("out", lambda t: count(t.totals.tokens_out), right=True),
        Column("listing costs", lambda t: count(t.context_tokens) if t.listed else "", right=True),
        Column(f"last called ({zone_name(zone)})", lambda t: clock(t.last_called_at, zone)),
        Column("calls over time", lambda t: spark(t.spark, 24)),
    ], rows)


def clients(rows: Sequence[ClientSummary], zone: tzinfo | None) -> Table:
    """Clients and the revisions they speak."""
    return table([
        Column("client", lambda c: c.label or "(unknown)"),
        Column("sessions", lambda c: count(c.sessions), right=True),
        Column("ghosts", lambda c: count(c.ghosts), right=True),
        Column("requests", lambda c: count(c.totals.requests), right=True),
        Column("calls", lambda c: count(c.totals.calls), right=True),
        Column("errors", lambda c: share(c.totals.error_rate), right=True),
        Column("p95", lambda c: ms(c.totals.p95_ms), right=True),
        Column("speaks", lambda c: ", ".join(c.protocol_versions)),
        Column("versions", lambda c: ", ".join(c.versions[:4]) + (", …" if len(c.versions) > 4 else "")),
        Column(f"last seen ({zone_name(zone)})", lambda c: clock(c.last_seen_at, zone)),
    ], rows)


def streams(rows: Sequence[StreamRow], zone: tzinfo | None) -> Table:
    """Standing streams."""
    return table([
        Column(f"opened ({zone_name(zone)})", lambda s: clock(s.opened_at, zone)),
        Column("kind", lambda s: s.kind),
        Column("session", lambda s: str(s.session_key or "")[:8]),
        Column("client", lambda s: s.client_label or ""),
        Column("lived", lambda s: span(s.duration_ms / 1000), right=True),
        Column("closed by", lambda s: s.closed_by or "(open)"),
        Column("events", lambda s: count(s.events), right=True),
        Column("bytes", lambda s: size(s.bytes), right=True),
        Column("resumes", lambda s: str(s.resumed_from or "")[:8]),
    ], rows)


def coverage(rows: Sequence[CoverageRow], zone: tzinfo | None) -> Table:
    """Exchanges seen against stored."""
    return table([
        Column(f"minute ({zone_name(zone)})", lambda m: clock(m.minute, zone)[:16]),
        Column("service", lambda m: m.service),
        Column("instance", lambda m: m.instance),
        Column("seen", lambda m: count(m.seen), right=True),
        Column("stored", lambda m: count(m.stored), right=True),
        Column("waiting", lambda m: count(m.waiting), right=True),
        Column("open", lambda m: count(m.open), right=True),
        Column("dropped", lambda m: count(m.dropped), right=True, style=lambda m: "red" if m.dropped else ""),
        Column("quarantined", lambda m: count(m.quarantined), right=True),
        Column("why", lambda m: ", ".join(f"{n} {reason}" for reason, n in sorted(m.reasons.items()))),
    ], rows)


def users(rows: Sequence[PrincipalSummary], zone: tzinfo | None) -> Table:
    """Principals: by name where it was kept, else by the key's first digits."""
    return table([
        Column("user", lambda u: u.principal or u.principal_key[:16]),
        Column("sessions", lambda u: count(u.sessions), right=True),
        Column("requests", lambda u: count(u.requests), right=True),
        Column("calls", lambda u: count(u.calls), right=True),
        Column("errors", lambda u: count(u.errors), right=True, style=lambda u: "red" if u.errors else ""),
        Column("tokens in", lambda u: count(u.tokens_in), right=True),
        Column("out", lambda u: count(u.tokens_out), right=True),
        Column("clients", lambda u: ", ".join(u.clients)),
        Column(f"last seen ({zone_name(zone)})", lambda u: clock(u.last_seen_at, zone)),
    ], rows)


def hits(rows: Sequence[SearchHit], zone: tzinfo | None) -> Table:
    """What a search found."""
    return table([
        Column("kind", lambda h: h.kind),
        Column("what", lambda h: h.title),
        Column("key", lambda h: h.key if h.key != h.title else ""),
        Column("detail", lambda h: h.detail),
        Column(f"when ({zone_name(zone)})", lambda h: clock(h.at, zone)),
    ], rows)


def errors(rows: Sequence[ErrorGroup], zone: tzinfo | None) -> Table:
    """Failures alike."""
    return table([
        Column("count", lambda e: count(e.count), right=True),
        Column("layer", lambda e: e.layer),
        Column("fault", lambda e: e.fault),
        Column("outcome", lambda e: e.outcome, style=lambda e: "red"),
        Column("what", lambda e: f"{e.method or ''} {e.target or ''}".strip()),
        Column("code", _code, right=True),
        Column("message", lambda e: e.message or ""),
        Column("clients", lambda e: ", ".join(e.clients[:3])),
        Column(f"last ({zone_name(zone)})", lambda e: clock(e.last_at, zone)),
    ], rows)


def _code(group: ErrorGroup) -> str:
    if group.error_code is not None:
        return str(group.error_code)
    return str(group.http_status) if (group.http_status or 0) >= 400 else ""


def shares(rows: Sequence[Share], head: str) -> Table:
    """Names with counts."""
    return table([
        Column(head, lambda s: s.name or "(unknown)"),
        Column("requests", lambda s: count(s.count), right=True),
        Column("errors", lambda s: count(s.errors), right=True, style=lambda s: "red" if s.errors else ""),
    ], rows)
