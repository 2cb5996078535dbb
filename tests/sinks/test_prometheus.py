"""Metrics: what was committed, in labels that nobody outside can multiply."""

import re
import uuid
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from mcp_weir.sinks.batch import Batch, CoverageRow
from mcp_weir.sinks.prometheus import Metrics
from mcp_weir.sinks.semconv import BUCKETS_S
from spooling import call, count, drain_with, spool, writer_at


def recorded(url: str, root: Path, lines: list[list]) -> Metrics:
    metrics, writer = Metrics(), writer_at(root)
    for line in lines:
        spool(writer, line)
    drain_with([metrics], url, root, lambda: count(url, "request_rows") == len(lines))
    writer.close()
    return metrics


class Sample(NamedTuple):
    labels: dict[str, str]
    value: float


def samples(metrics: Metrics) -> dict[str, list[Sample]]:
    """As a scraper reads the text format: a line that fits no rule fails."""
    found: dict[str, list[Sample]] = {}
    for line in metrics.text().split("\n")[:-1]:
        if line.startswith(("# HELP ", "# TYPE ")):
            continue
        read = re.fullmatch(r'(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\[\\"n])*",?)*)\})? (\d+(?:\.\d+)?)', line)
        assert read is not None, line
        labels = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', read[2] or ""))
        found.setdefault(read[1], []).append(Sample(labels, float(read[3])))
    return found


def test_durations_fall_into_the_buckets_of_the_conventions(database_url: str, tmp_path: Path) -> None:
    lines = [call(n, at_us=us) for n, us in enumerate([5_000, 10_000, 10_001, 400_000_000])]
    lines.append(call(9, at_us=1000, outcome="tool_error"))
    found = samples(recorded(database_url, tmp_path, lines))
    name = "mcp_server_operation_duration_seconds"
    buckets = {s.labels["le"]: s.value for s in found[f"{name}_bucket"] if "error_type" not in s.labels}
    assert len(buckets) == len(BUCKETS_S) + 1
    assert (buckets["0.01"], buckets["0.02"], buckets["300"], buckets["+Inf"]) == (2, 3, 3, 4)
    assert {s.labels.get("error_type"): s.value for s in found[f"{name}_count"]} == {None: 4, "tool_error": 1}
    assert found["weir_exchanges_seen_total"][0].value == 5


def test_hostile_names_stay_text_and_few(database_url: str, tmp_path: Path) -> None:
    lines = [call(n, target=f't{n}"}} 1\nevil_total 7\n\\\x1b[31m') for n in range(300)]
    metrics = recorded(database_url, tmp_path, lines)
    assert "evil_total" not in samples(metrics) and "\x1b" not in metrics.text()
    found = samples(metrics)["weir_requests_total"]
    assert len(found) == 201 and sum(s.value for s in found) == 300
    assert [s.value for s in found if s.labels["mcp_method_name"] == "other"] == [100]


def test_a_minute_that_is_told_again_after_days_is_not_counted_again() -> None:
    """A stream that ends changes the page of the minute in which it opened; a recorder that reconnects reads all."""
    metrics, stream, first = Metrics(), uuid.uuid4(), datetime(2026, 1, 1, tzinfo=UTC)

    def tell(minutes: range) -> None:
        rows = [CoverageRow(stream, first + timedelta(minutes=n), "s", "i", 10, 10, {"error": 1}) for n in minutes]
        metrics.wrote(Batch(coverage={(stream, row.minute): row for row in rows}))

    for n in range(10_000):
        tell(range(n, n + 1))
    tell(range(3, 4))
    tell(range(10_000))
    found = samples(metrics)
    assert found["weir_exchanges_seen_total"][0].value == 100_000
    assert found["weir_exchanges_dropped_total"][0].value == 10_000
    assert len(metrics._seen) <= 4096
