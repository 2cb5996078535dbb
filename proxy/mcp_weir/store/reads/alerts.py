"""Alerts: thresholds against the last quarter of an hour, from rollups and coverage alone."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from mcp_weir.store.reads.health import health
from mcp_weir.store.reads.queries import Conn, fetch, params
from mcp_weir.store.reads.totals import names_of
from mcp_weir.store.shapes import HOUR, MINUTE, NO_FILTER, Alert, Filter, Thresholds, Window

RECENT = timedelta(minutes=15)
FEWEST = 20  # below so many requests, a rate or a percentile says nothing
QUIET = timedelta(minutes=5)  # a recorder commits at least each 5 s while a worker lives


async def alerts(
    conn: Conn, thresholds: Thresholds, where: Filter = NO_FILTER, now: datetime | None = None
) -> tuple[Alert, ...]:
    """What is wrong now, worst first. Uses service."""
    now = now or datetime.now(UTC)
    recent = Window.of(now - RECENT, now, MINUTE)
    only = Filter(service=where.service)
    values = params(Window.of(now - RECENT - HOUR, now, MINUTE), only, recent=recent.since)
    found: list[Alert] = []
    for row in await fetch(conn, "alerts", values):
        found += _rates(row, thresholds, recent.since)
    found += _slow(await names_of(conn, "tool", recent, only), thresholds, recent.since)
    found += await _recording(conn, recent, only, now)
    return tuple(sorted(found, key=lambda alert: (alert.severity != "critical", alert.kind, alert.subject)))


def _rates(row: Mapping[str, Any], thresholds: Thresholds, since: datetime) -> Iterator[Alert]:
    requests, errors, calls, before = row["requests"], row["errors"], row["calls"], row["calls_before"]
    rate = errors / requests if requests else 0.0
    if requests >= FEWEST and rate > thresholds.error_rate:
        severity = "critical" if rate > 2 * thresholds.error_rate else "warning"
        yield Alert(kind="error_rate", severity=severity, service=row["service"], subject="", value=rate,
                    threshold=thresholds.error_rate, since=since,
                    says=f"{errors} of {requests} requests failed in 15 minutes ({rate:.0%})")
    usual = before * (RECENT / HOUR)
    if usual >= FEWEST / 4 and calls >= FEWEST and calls > thresholds.spike * usual:
        yield Alert(kind="spike", severity="warning", service=row["service"], subject="", value=calls / usual,
                    threshold=thresholds.spike, since=since,
                    says=f"{calls} calls in 15 minutes, {calls / usual:.1f} times the hour before")


def _slow(found: list[dict[str, Any]], thresholds: Thresholds, since: datetime) -> Iterator[Alert]:
    for tool in found:
        p95, calls = tool["p95_ms"], tool["calls"]
        if p95 is not None and calls >= FEWEST and p95 > thresholds.slow_ms:
            yield Alert(kind="slow_tool", severity="warning", service=tool["service"], subject=tool["name"], value=p95,
                        threshold=thresholds.slow_ms, since=since,
                        says=f"p95 {p95:.0f} ms over {calls} calls in 15 minutes")


async def _recording(conn: Conn, recent: Window, where: Filter, now: datetime) -> list[Alert]:
    found = []
    state = await health(conn, recent, where)
    for gap in state.gaps:
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(gap.reasons.items()))
        found.append(Alert(kind="recording_gap", severity="critical", service=gap.service, subject=gap.instance,
                           value=float(gap.lost), threshold=0.0, since=gap.since,
                           says=f"{gap.lost} exchanges were not recorded ({reasons})"))
    if state.quarantined:
        found.append(Alert(kind="quarantine", severity="warning", service=where.service or "", subject="",
                           value=float(state.quarantined), threshold=0.0, since=recent.since,
                           says=f"{state.quarantined} rows that Postgres refused are in weir.quarantine"))
    if state.waiting and state.last_commit_at is not None and now - state.last_commit_at > QUIET:
        quiet = (now - state.last_commit_at).total_seconds()
        found.append(Alert(kind="recorder", severity="critical", service=where.service or "", subject="", value=quiet,
                           threshold=QUIET.total_seconds(), since=state.last_commit_at,
                           says=f"nothing was recorded for {quiet / 60:.0f} minutes, {state.waiting} exchanges wait"))
    return found
