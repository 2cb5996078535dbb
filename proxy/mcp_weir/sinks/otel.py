"""OpenTelemetry, over OTLP/HTTP: a histogram of durations and sums of tokens, and a span for each request if asked for.

Best effort, after the commit. The drain only adds to sums and to a bounded queue; a thread of its own talks to the
collector. What finds the queue full, or is refused, is dropped and counted. Headers, certificates and compression come
from the standard OTEL_EXPORTER_OTLP_* variables, the endpoint does not: nothing is sent unless we are asked to.
"""

import contextlib
import dataclasses
import json
import os
import threading
import time
from bisect import bisect_left
from collections import deque
from pathlib import Path
from urllib.parse import urlsplit

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from mcp_weir import log
from mcp_weir.sinks.batch import Batch
from mcp_weir.sinks.semconv import (
    BUCKETS_S,
    Operation,
    error_type,
    metric_attributes,
    operation_of,
    span_attributes,
    span_ids,
    span_name,
    times_ns,
)

QUEUE_MAX = 8192  # spans that wait: a few MiB
SERIES_MAX = 2000  # attribute sets that are kept apart; the rest is `otel.metric.overflow`, as in the SDKs
_SPANS_A_CALL = 512
_METRICS_EVERY_S = 15.0
_TIMEOUT_S = 5.0  # of one export, its repetitions included
_CLOSE_S = 2.0
_SCOPE = InstrumentationScope("mcp-weir")
_OVERFLOW = {"otel.metric.overflow": "true"}
_Series = tuple[str, str, tuple[tuple[str, str], ...]]  # service, instance, attributes


@dataclasses.dataclass(frozen=True, slots=True)
class Sent:
    """How it fares, since this recorder began."""

    spans: int = 0  # taken by the collector
    dropped: int = 0  # spans that found the queue full, or that the collector did not take
    exports_failed: int = 0
    failing: bool = False


class Otel:
    """A Sink. `spans`: FastMCP may send its own, hence a choice. `said_in`: where `mcp-weir status` looks."""

    def __init__(self, endpoint: str, *, spans: bool, said_in: Path | None = None, every_s: float = 1.0) -> None:
        base = endpoint.rstrip("/")
        self.sent = Sent()
        self._where = urlsplit(endpoint).hostname
        self._said_in, self._every_s, self._spans = said_in, every_s, spans
        self._metric_exporter = OTLPMetricExporter(f"{base}/v1/metrics", timeout=_TIMEOUT_S)
        self._span_exporter = OTLPSpanExporter(f"{base}/v1/traces", timeout=_TIMEOUT_S)
        self._begun_ns = time.time_ns()
        self._lock = threading.Lock()
        self._queue: deque[Operation] = deque()
        self._refused = 0  # found the queue full
        self._sums: dict[_Series, _Sums] = {}
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otel", daemon=True)
        self._thread.start()

    @property
    def wants_rows(self) -> bool:
        """Each is a span or a point."""
        return True

    def wrote(self, batch: Batch) -> None:
        """Add a committed batch; never waits for the collector."""
        said = [operation_of(row) for row in (*batch.rows, *batch.packed.again) if row.method is not None]
        with self._lock:
            for one in said:
                if one.direction == "client":
                    self._add(one)
            if self._spans:
                room = max(0, QUEUE_MAX - len(self._queue))
                self._queue.extend(said[:room])
                self._refused += len(said) - len(said[:room])

    def metrics(self) -> str:
        """How it fares, in the Prometheus text format."""
        sent = self.sent
        lines = (
            ("weir_otel_spans_sent_total", "counter", "Spans that the collector took", sent.spans),
            ("weir_otel_spans_dropped_total", "counter", "Spans dropped: queue full, or not taken", sent.dropped),
            ("weir_otel_exports_failed_total", "counter", "Exports that the collector did not take",
             sent.exports_failed),
        )
        return "".join(f"# HELP {n} {says}\n# TYPE {n} {kind}\n{n} {value}\n" for n, kind, says, value in lines)

    def close(self) -> None:
        """Send what is there, for at most two seconds."""
        self._stop.set()
        self._thread.join(_CLOSE_S)
        self._metric_exporter.shutdown()
        self._span_exporter.shutdown()

    def _add(self, said: Operation) -> None:
        key = (said.service, said.instance, tuple(metric_attributes(said).items()))
        if key not in self._sums and len(self._sums) >= SERIES_MAX:
            key = ("other", "other", tuple(_OVERFLOW.items()))
        sums = self._sums.get(key)
        if sums is None:
            sums = self._sums[key] = _Sums()
        sums.tokens_in += said.tokens_in or 0
        sums.tokens_out += said.tokens_out or 0
        if said.duration_ms is not None:
            seconds = said.duration_ms / 1000
            sums.buckets[bisect_left(BUCKETS_S, seconds)] += 1
            sums.total_s += seconds
            sums.least_s, sums.most_s = min(sums.least_s, seconds), max(sums.most_s, seconds)

    def _run(self) -> None:
        due, ends, said = 0.0, False, None
        while not ends:
            if self.sent != said:
                said = self.sent
                self._say()
            ends = self._stop.wait(self._every_s)
            while self._send_spans() and not self.sent.failing:
                continue
            if ends or time.monotonic() >= due:
                due = time.monotonic() + min(_METRICS_EVERY_S, 15 * self._every_s)
                self._send_metrics()
        self._say()

    def _send_spans(self) -> bool:
        with self._lock:
            said = [self._queue.popleft() for _ in range(min(_SPANS_A_CALL, len(self._queue)))]
            refused, self._refused = self._refused, 0
        taken = not said or self._span_exporter.export([_span(one) for one in said]) is SpanExportResult.SUCCESS
        dropped = refused + (0 if taken else len(said))
        self._went(said != [], taken, spans=len(said) if taken else 0, dropped=dropped)
        return len(said) == _SPANS_A_CALL

    def _send_metrics(self) -> None:
        with self._lock:
            data = self._data() if self._sums else None
        if data is not None:
            self._went(True, self._metric_exporter.export(data) is MetricExportResult.SUCCESS)

    def _went(self, tried: bool, taken: bool, spans: int = 0, dropped: int = 0) -> None:
        before = self.sent
        failing = not taken if tried else before.failing
        self.sent = Sent(before.spans + spans, before.dropped + dropped, before.exports_failed + (not taken), failing)
        if failing and not before.failing:
            log.warning("otel.not_taken", host=self._where, hint="spans are dropped and counted; sums are sent later")
        elif before.failing and not failing:
            log.info("otel.taken_again", host=self._where, dropped=self.sent.dropped)

    def _say(self) -> None:
        if self._said_in is None:
            return
        new = self._said_in.with_suffix(".new")
        with contextlib.suppress(OSError):  # a full disk is said elsewhere
            new.write_text(json.dumps(dataclasses.asdict(self.sent)))
            os.replace(new, self._said_in)

    def _data(self) -> MetricsData:
        found: dict[tuple[str, str], list[tuple[dict[str, str], _Sums]]] = {}
        for (service, instance, attributes), sums in self._sums.items():
            found.setdefault((service, instance), []).append((dict(attributes), sums))
        now = time.time_ns()
        return MetricsData([
            ResourceMetrics(_resource(*who), [ScopeMetrics(_SCOPE, _metrics(series, self._begun_ns, now), "")], "")
            for who, series in found.items()
        ])


@dataclasses.dataclass(slots=True)
class _Sums:
    buckets: list[int] = dataclasses.field(default_factory=lambda: [0] * (len(BUCKETS_S) + 1))
    total_s: float = 0.0
    least_s: float = float("inf")
    most_s: float = 0.0
    tokens_in: int = 0
    tokens_out: int = 0


def _metrics(series: list[tuple[dict[str, str], _Sums]], begun: int, now: int) -> list[Metric]:
    durations = [
        HistogramDataPoint(attributes, begun, now, sum(sums.buckets), sums.total_s, list(sums.buckets), BUCKETS_S,
                           sums.least_s, sums.most_s)
        for attributes, sums in series if any(sums.buckets)
    ]
    cumulative = AggregationTemporality.CUMULATIVE
    found = [Metric("mcp.server.operation.duration", "From a request's first byte to its result", "s",
                    Histogram(durations, cumulative))]
    for way, of in (("in", "arguments"), ("out", "results")):
        name = f"tokens_{way}"
        points = [NumberDataPoint(attributes, begun, now, getattr(sums, name)) for attributes, sums in series]
        says = f"Tokens in {of}, an estimate"
        found.append(Metric(f"weir.tokens.{way}", says, "{token}", Sum(points, cumulative, True)))
    return found


def _span(said: Operation) -> ReadableSpan:
    trace, span, parent = span_ids(said)
    sampled = TraceFlags(TraceFlags.SAMPLED)
    begun, ended = times_ns(said)
    return ReadableSpan(
        span_name(said),
        context=SpanContext(trace, span, False, sampled),
        parent=SpanContext(trace, parent, True, sampled) if parent else None,
        resource=_resource(said.service, said.instance),
        attributes=span_attributes(said),
        kind=SpanKind.SERVER if said.direction == "client" else SpanKind.CLIENT,
        status=Status(StatusCode.UNSET if error_type(said) is None else StatusCode.ERROR),
        start_time=begun, end_time=ended, instrumentation_scope=_SCOPE,
    )


def _resource(service: str, instance: str) -> Resource:
    return Resource({"service.name": service, "service.instance.id": instance})
