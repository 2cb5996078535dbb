"""Whole screens: the report, one session, one tool, how recording fares."""

from collections.abc import Mapping
from datetime import tzinfo

from rich.console import Group, RenderableType
from rich.text import Text

from mcp_weir.reports import tables
from mcp_weir.reports.tables import Column, table
from mcp_weir.reports.text import bar, change, clock, count, inert, ms, share, size, span, spark, zone_name
from mcp_weir.store.shapes import Alert, Cost, Health, Overview, SessionDetail, TimelineItem, ToolDetail, Totals, Window


def report(view: Overview, zone: tzinfo | None, cost: Cost | None = None) -> RenderableType:
    """The whole picture on one screen."""
    parts: list[RenderableType] = [_heading(f"{', '.join(view.services) or 'nothing recorded yet'}", view.window, zone)]
    parts += [alert_line(alert) for alert in view.alerts]
    parts += [_figures(view, cost), _line("calls over time", [point.calls for point in view.series])]
    if any(point.errors for point in view.series):
        parts.append(_line("errors         ", [point.errors for point in view.series], "red"))
    if view.tools:
        parts += [Text(), tables.tools(view.tools, zone)]
    if view.clients:
        parts += [Text(), tables.clients(view.clients, zone)]
    if view.errors:
        parts += [Text(), tables.errors(view.errors, zone)]
    return Group(*parts, Text(), recording(view.health, zone))


def _heading(what: str, window: Window, zone: tzinfo | None) -> Text:
    return Text.assemble(
        (inert(what), "bold"), f"   {clock(window.since, zone)[:16]} to {clock(window.until, zone)[:16]}"
        f" {zone_name(zone)} ({span((window.until - window.since).total_seconds())})"
    )


def _line(name: str, values: list[int], style: str = "cyan") -> Text:
    return Text.assemble(f"{name}  ", (spark(values, 100), style), f"  max {count(max(values, default=0))} a step")


def _figures(view: Overview, cost: Cost | None) -> RenderableType:
    now, before = view.totals, view.previous
    rows = [
        ("active now", f"{view.active_sessions} sessions, {view.active_clients} clients", ""),
        ("sessions", f"{count(view.sessions)} and {count(view.ghosts)} that called nothing", ""),
        ("calls", count(now.calls), change(now.calls, before.calls)),
        ("requests", count(now.requests), change(now.requests, before.requests)),
        ("errors", f"{count(now.errors)} ({share(now.error_rate)})", change(now.errors, before.errors)),
        ("p50 / p95 / p99", f"{ms(now.p50_ms)} / {ms(now.p95_ms)} / {ms(now.p99_ms)}" if now.calls else "",
         change(now.p95_ms, before.p95_ms)),
        ("tokens (estimate)", f"{count(now.tokens_in)} in, {count(now.tokens_out)} out",
         change(now.tokens_out, before.tokens_out)),
        ("bytes", f"{size(now.request_bytes)} in, {size(now.response_bytes)} out", ""),
    ]
    if cost is not None:
        rows.append((f"cost ({cost.model}, estimate)", f"{cost.amount:.4f} {cost.currency}", ""))
    return table([Column("", lambda r: r[0]), Column("in the window", lambda r: r[1]),
                  Column("to the one before", lambda r: r[2], right=True)], rows)


def alert_line(alert: Alert) -> Text:
    """One alert, one line."""
    style = "bold red" if alert.severity == "critical" else "yellow"
    subject = f" {alert.subject}" if alert.subject else ""
    return Text(inert(f"{alert.severity}: {alert.kind}{subject}: {alert.says}"), style=style)


def recording(health: Health, zone: tzinfo | None) -> Text:
    """How recording fares, in one line."""
    lost = f", {count(health.dropped)} dropped" if health.dropped else ""
    refused = f", {count(health.quarantined)} quarantined" if health.quarantined else ""
    last = f"; last commit {clock(health.last_commit_at, zone)}" if health.last_commit_at else ""
    return Text(
        f"recording: {count(health.seen)} exchanges seen, {count(health.stored)} stored,"
        f" {count(health.waiting)} waiting, {count(health.open)} open{lost}{refused}{last}",
        style="red" if lost or refused else "green",
    )


def status(health: Health, alerts: tuple[Alert, ...], spool: Mapping[str, object], where: str,
           zone: tzinfo | None, otel: Mapping[str, object] | None = None) -> RenderableType:
    """Recording, gaps, alerts, what waits on disk, and how the OpenTelemetry collector fares."""
    lines = [_whole(f"database: {inert(where)} (schema version {health.schema_version})"), recording(health, zone)]
    lines += [Text(inert(f"gap: {clock(gap.since, zone)} to {clock(gap.until, zone)} {gap.service} {gap.instance}:"
                         f" {gap.lost} lost"), style="red") for gap in health.gaps[:10]]
    lines.append(_whole(spooled(spool)))
    if otel is not None:
        lines.append(Text(f"otel: {otel.get('spans')} spans sent, {otel.get('dropped')} dropped,"
                          f" {otel.get('exports_failed')} exports not taken",
                          style="red" if otel.get("failing") else ""))
    lines += [alert_line(alert) for alert in alerts] or [Text("no alerts", style="green")]
    return Group(*lines)


def _whole(said: str) -> Text:
    """A line with an address or a path in it: the terminal may break it, we do not, so that it can be copied."""
    return Text(said, no_wrap=True, overflow="ignore")


def spooled(spool: Mapping[str, object]) -> str:
    """What waits on disk, in a line."""
    return f"spool: {spool['segments']} segments, {size(float(str(spool['bytes'])))} in {inert(spool['path'])}"


def session(view: SessionDetail, zone: tzinfo | None) -> RenderableType:
    """One session as a timeline."""
    whole = view.session
    client = f"{whole.client_label or 'unknown client'} {whole.client_version or ''}".strip()
    facts = [
        ("client", f"{client} ({whole.user_agent or 'no user agent'})"),
        ("server", f"{whole.server_name or '?'} {whole.server_version or ''} at {whole.service}"),
        ("speaks", f"{whole.protocol_version or '?'} ({whole.era})"),
        ("user", whole.principal or whole.principal_key or "unknown"),
        ("known by", f"{whole.source}, confidence {whole.confidence:.2f}"),
        ("lived", f"{clock(whole.started_at, zone)} to {clock(whole.last_seen_at, zone)} {zone_name(zone)},"
                  f" {span(whole.duration_ms / 1000)}, {whole.end_reason or whole.status}"),
        ("made", f"{count(whole.request_count)} requests, {count(whole.tool_call_count)} calls,"
                 f" {count(whole.error_count)} errors, {count(whole.tokens_in)} tokens in,"
                 f" {count(whole.tokens_out)} out, {count(view.context_tokens)} of them for tools/list"),
    ]
    facts += [(name, str(other.session_key)) for name, other in
              (("follows", view.predecessor), ("goes on as", view.successor)) if other is not None]
    lines: list[RenderableType] = [Text(f"session {whole.session_key}", style="bold")]
    lines += [Text(inert(f"{name:<11} {said}")) for name, said in facts]
    lines += [Text(), table(_timeline_columns(max(_extent(view), 1.0)), view.timeline)]
    if view.next:
        lines.append(Text(f"… more than {len(view.timeline)}; --limit shows more"))
    return Group(*lines)


def _extent(view: SessionDetail) -> float:
    return max((item.offset_ms + (item.length_ms or 0) for item in view.timeline), default=0.0)


def _timeline_columns(total: float) -> list[Column]:
    return [
        Column("after", lambda i: span(i.offset_ms / 1000), right=True),
        Column("what", _what, words=True),
        Column("target", lambda i: i.request.target or "" if i.request else "", words=True),
        Column("outcome", lambda i: i.request.outcome if i.request else (i.stream.closed_by or "(open)"),
               style=lambda i: "red" if i.is_error else ""),
        Column("time", lambda i: ms(i.request.duration_ms if i.request else i.length_ms), right=True),
        Column("bytes", lambda i: size(i.request.response_bytes if i.request else i.stream.bytes), right=True, spare=2),
        Column("waterfall", lambda i: bar(i.offset_ms, i.length_ms, total), spare=1),
    ]


def _what(item: TimelineItem) -> str:
    asked = "server asks " if item.kind == "server_request" else ""
    return f"{asked}{item.label}" + (f" (round {item.round})" if item.round else "")


def tool(view: ToolDetail, window: Window, zone: tzinfo | None) -> RenderableType:
    """One tool whole."""
    shown: list[RenderableType] = [_heading(view.tool.name, window, zone), tables.tools([view.tool], zone),
                                   Text(f"the period before: {_short(view.previous)}")]
    for title, part in (("outcomes", view.outcomes), ("callers", view.callers), ("called before it", view.before),
                        ("called after it", view.after)):
        if part:
            shown += [Text(), tables.shares(part[:8], title)]
    if view.errors:
        shown += [Text(), tables.errors(view.errors[:8], zone)]
    if view.slowest:
        shown += [Text(), Text("slowest"), tables.requests(view.slowest[:8], zone)]
    if view.versions:
        shown += [Text(), table([
            Column(f"version since ({zone_name(zone)})", lambda v: clock(v.first_seen, zone)),
            Column("hash", lambda v: v.content_hash[:12]), Column("tokens", lambda v: count(v.tokens), right=True),
            Column("listed", lambda v: count(v.times_listed), right=True),
            Column("calls", lambda v: count(v.calls), right=True),
            Column("errors", lambda v: share(v.errors / v.calls) if v.calls else "", right=True),
        ], view.versions)]
    return Group(*shown)


def _short(totals: Totals) -> str:
    return f"{count(totals.calls)} calls, {share(totals.error_rate)} errors, p95 {ms(totals.p95_ms) or 'unknown'}"
