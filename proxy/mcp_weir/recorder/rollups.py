"""From rows to rollups: sums by minute, hour and day, with a mergeable latency histogram. Pure.

`mcp-weir db rollup` makes the same in SQL (store/queries/rebuild_*.sql): a test holds the two equal.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import TypeVar

from mcp_weir.attribution.verdicts import Row, wall
from mcp_weir.sinks.batch import (
    CLIENT_MAX,
    METHOD_MAX,
    TARGET_MAX,
    Counts,
    FacetKey,
    Failure,
    LatencyKey,
    Packed,
    Rollups,
    TotalKey,
    WideKey,
)
from mcp_weir.sinks.copying import NO_BUCKET, latency_bucket

_MINUTE_US = 60_000_000
K = TypeVar("K", WideKey, TotalKey, FacetKey, LatencyKey)


def roll_up(rows: Iterable[Row], packed: Packed) -> Rollups:
    """The sums over these rows."""
    minutes = _minutes(packed)
    failed = list(packed.failed)
    for row in rows:
        key = (row.started_at.replace(second=0, microsecond=0), row.service, row.direction,
               (row.method or "")[:METHOD_MAX], (row.target or "")[:TARGET_MAX], (row.client_label or "")[:CLIENT_MAX],
               row.outcome, latency_bucket(row.duration_ms))
        counts = minutes.get(key)
        if counts is None:
            counts = minutes[key] = [0, 0, 0, 0, 0, 0]
        counts[0] += 1
        if row.duration_ms is not None:
            counts[1] += round(row.duration_ms * 1000)
        counts[2] += row.request_bytes
        counts[3] += row.response_bytes
        counts[4] += row.tokens_in or 0
        counts[5] += row.tokens_out or 0
        if row.outcome != "ok":
            failed.append(_failure(row))
    hours = _coarser(minutes, {"minute": 0})
    days = _coarser(hours, {"minute": 0, "hour": 0})
    wide = {"minute": minutes, "hour": hours, "day": days}
    rolled = Rollups(wide, {grain: _narrow(sums) for grain, sums in wide.items()}, failed=failed)
    for grain in ("hour", "day"):
        rolled.facets[grain], rolled.latencies[grain] = _facets(wide[grain])
    return rolled


def _minutes(packed: Packed) -> dict[WideKey, Counts]:
    minutes: dict[WideKey, Counts] = {}
    for (minute, kind, label, bucket), counts in packed.sums.items():
        key = (wall(minute * _MINUTE_US), kind.service, "client", kind.method[:METHOD_MAX], kind.target[:TARGET_MAX],
               (label or "")[:CLIENT_MAX], kind.outcome, bucket)
        _add(minutes, key, counts)
    return minutes


def _failure(row: Row) -> Failure:
    return (row.started_at, row.service, (row.method or "")[:METHOD_MAX], (row.target or "")[:TARGET_MAX],
            (row.client_label or "")[:CLIENT_MAX], row.outcome, row.http_status or 0, row.error_code or 0,
            row.error_message, row.request_key)


def _coarser(finer: dict[WideKey, Counts], at: dict[str, int]) -> dict[WideKey, Counts]:
    sums: dict[WideKey, Counts] = {}
    starts: dict[datetime, datetime] = {}
    for key, counts in finer.items():
        start = starts.get(key[0])
        if start is None:
            start = starts[key[0]] = key[0].replace(**at)  # type: ignore[arg-type]
        _add(sums, (start, *key[1:]), counts)
    return sums


def _narrow(wide: dict[WideKey, Counts]) -> dict[TotalKey, Counts]:
    sums: dict[TotalKey, Counts] = {}
    for (at, service, direction, method, _, _, outcome, bucket), counts in wide.items():
        _add(sums, (at, service, direction == "client" and method == "tools/call", outcome, bucket), counts)
    return sums


def _facets(wide: dict[WideKey, Counts]) -> tuple[dict[FacetKey, Counts], dict[LatencyKey, Counts]]:
    """By one thing at a time: everything, client, method, and a client's tools/call by its tool; their latencies."""
    facets: dict[FacetKey, Counts] = {}
    latencies: dict[LatencyKey, Counts] = {}
    for (at, service, direction, method, target, client, outcome, bucket), counts in wide.items():
        is_call, timed = direction == "client" and method == "tools/call", bucket > NO_BUCKET
        sums = [counts[0], counts[0] if timed else 0, counts[1] if timed else 0, *counts[2:]]
        named = [("all", ""), ("client", client), ("method", method)]
        if is_call:
            named.append(("tool", target))
        for facet, name in named:
            _add(facets, (facet, name, at, service, is_call, outcome), sums)
            if is_call and timed and facet != "method":
                _add(latencies, (facet, name, at, service, bucket), counts[:1])
    return facets, latencies


def _add(sums: dict[K, Counts], key: K, counts: Counts) -> None:
    have = sums.get(key)
    sums[key] = list(counts) if have is None else [a + b for a, b in zip(have, counts, strict=True)]
