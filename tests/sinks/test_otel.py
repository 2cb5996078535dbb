"""OpenTelemetry against a real OTLP/HTTP receiver: what arrives, and that a bad collector harms nothing."""

import asyncio
import contextlib
import dataclasses
import json
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from spooling import SESSION, call, count, recording, spool, wait, writer_at
from weir_process import start_example, start_weir, wait_until

pytest.importorskip("opentelemetry.exporter.otlp.proto.http", reason="the extra `otel` is not installed")
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from mcp_weir.app.telemetry import check_otel
from mcp_weir.config import Settings
from mcp_weir.errors import UsageError
from mcp_weir.sinks.batch import Batch
from mcp_weir.sinks.otel import QUEUE_MAX, SERIES_MAX, Otel
from mcp_weir.sinks.semconv import BUCKETS_S

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"


class Collector:
    """An OTLP/HTTP receiver in a thread of its own."""

    def __init__(self) -> None:
        self.spans: list[tuple[dict[str, Any], Any]] = []  # (resource, span)
        self.metrics: dict[str, list[tuple[dict[str, Any], Any]]] = {}  # the last export's points by metric
        self.status = 200
        self.url = ""
        self._ready, self._done = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    def __enter__(self) -> "Collector":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(10)

    def _serve(self) -> None:
        async def run() -> None:
            app = web.Application(client_max_size=1 << 26)
            app.router.add_post("/base/v1/traces", self._traces)
            app.router.add_post("/base/v1/metrics", self._metrics)
            runner = web.AppRunner(app)
            await runner.setup()
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/base/"
            self._ready.set()
            while not self._done.is_set():
                await asyncio.sleep(0.05)
            await runner.cleanup()

        asyncio.run(run())

    async def _traces(self, request: web.Request) -> web.Response:
        said = ExportTraceServiceRequest.FromString(await request.read())
        if self.status == 200:
            self.spans += [(plain(of.resource), span) for of in said.resource_spans
                           for scope in of.scope_spans for span in scope.spans]
        return web.Response(status=self.status)

    async def _metrics(self, request: web.Request) -> web.Response:
        said = ExportMetricsServiceRequest.FromString(await request.read())
        if self.status == 200:
            self.metrics = {}
            for of in said.resource_metrics:
                for metric in (metric for scope in of.scope_metrics for metric in scope.metrics):
                    data = metric.histogram if metric.HasField("histogram") else metric.sum
                    found = self.metrics.setdefault(metric.name, [])
                    found += [(plain(of.resource), point) for point in data.data_points]
        return web.Response(status=self.status)


def plain(said: Any) -> dict[str, Any]:
    return {one.key: one.value.string_value for one in said.attributes}


@pytest.fixture
def collector() -> Iterator[Collector]:
    with Collector() as running:
        yield running


def sink(collector: Collector, **more: Any) -> Otel:
    return Otel(collector.url, every_s=0.05, **{"spans": True, **more})


def test_spans_and_metrics_arrive_in_the_words_of_the_conventions(
    collector: Collector, database_url: str, tmp_path: Path
) -> None:
    otel, writer = sink(collector), writer_at(tmp_path)
    begun = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    traced = call(1, wall_us=round(begun.timestamp() * 1e6), at_us=15_000, arguments='{"secret": "canary"}')
    context = {"trace_id": TRACE, "parent_span_id": PARENT, "protocol_version": "2025-11-25"}
    traced[1] = msgspec.structs.replace(traced[1], **context)
    lines = [traced, call(2, outcome="tool_error"), call(3, outcome="rpc_error", error_code=-32602),
             call(4, outcome="rpc_error", error_code=-32603, error_message="canary"), read_resource(5)]
    for line in lines:
        spool(writer, line)
    with recording(database_url, tmp_path, [otel]):
        wait(lambda: len(collector.spans) == 5 and len(collector.metrics.get("weir.tokens.in", ())) == 5)
    otel.close()
    writer.close()
    spans = {plain(span)["jsonrpc.request.id"]: span for _, span in collector.spans}
    first = spans["1"]
    assert (first.trace_id.hex(), first.parent_span_id.hex()) == (TRACE, PARENT)
    assert (first.name, first.kind) == ("tools/call add", 2)
    assert first.start_time_unix_nano == 1_767_323_045_678_901_000
    assert first.end_time_unix_nano - first.start_time_unix_nano == 15_000_000
    assert plain(first) == {
        "mcp.method.name": "tools/call", "gen_ai.tool.name": "add", "gen_ai.operation.name": "execute_tool",
        "mcp.protocol.version": "2025-11-25", "mcp.session.id": str(SESSION), "weir.outcome": "ok",
        "network.transport": "tcp", "network.protocol.name": "http", "jsonrpc.request.id": "1",
        "client.address": "127.0.0.1",
    }
    errors = {number: (plain(span).get("error.type"), span.status.code) for number, span in spans.items()}
    assert errors == {"1": (None, 0), "2": ("tool_error", 2), "3": (None, 0), "4": ("-32603", 2), "5": (None, 0)}
    assert plain(spans["3"])["rpc.response.status_code"] == "-32602"
    assert (spans["5"].name, plain(spans["5"])["mcp.resource.uri"]) == ("resources/read", "file:///a")
    assert len({span.span_id for span in spans.values()}) == len({span.trace_id for span in spans.values()}) == 5
    assert {tuple(resource.items()) for resource, _ in collector.spans} == {
        (("service.name", "s"), ("service.instance.id", "i"))}
    assert "canary" not in repr(collector.spans) + repr(collector.metrics)

    points = {(plain(p).get("error.type"), plain(p)["mcp.method.name"], plain(p).get("mcp.protocol.version")): p
              for _, p in collector.metrics["mcp.server.operation.duration"]}
    ok = points[None, "tools/call", "2025-11-25"]
    assert tuple(ok.explicit_bounds) == BUCKETS_S
    assert (ok.count, list(ok.bucket_counts)[:3], round(ok.sum, 6)) == (1, [0, 1, 0], 0.015)
    assert all(not {"mcp.session.id", "jsonrpc.request.id", "client.address", "mcp.resource.uri"} & plain(p).keys()
               for named in collector.metrics.values() for _, p in named)
    assert sum(p.as_int for _, p in collector.metrics["weir.tokens.in"]) == 15


def read_resource(number: int) -> list[Any]:
    opened, asked, answer, closed = call(number)
    return [opened, msgspec.structs.replace(asked, method="resources/read", target="file:///a"), answer, closed]


def test_without_spans_only_metrics_are_sent(collector: Collector, database_url: str, tmp_path: Path) -> None:
    otel, writer = sink(collector, spans=False), writer_at(tmp_path)
    spool(writer, call(1))
    with recording(database_url, tmp_path, [otel]):
        wait(lambda: bool(collector.metrics))
    otel.close()
    writer.close()
    assert collector.spans == [] and otel.sent.dropped == 0


def test_a_collector_that_refuses_costs_spans_that_are_counted_and_no_sums(
    collector: Collector, database_url: str, tmp_path: Path
) -> None:
    said_in = tmp_path / "otel.json"
    otel, writer, collector.status = sink(collector, said_in=said_in), writer_at(tmp_path / "spool"), 400
    with recording(database_url, tmp_path / "spool", [otel]) as recorder:
        for number in range(20):
            spool(writer, call(number))
        wait(lambda: otel.sent.dropped == 20)
        wait(lambda: count(database_url, "request_rows") == 20)
        assert recorder.state.last_error is None and otel.sent.failing
        collector.status = 200
        spool(writer, call(20))
        wait(lambda: len(collector.spans) == 1 and bool(collector.metrics))
        wait(lambda: json.loads(said_in.read_text())["failing"] is False)
    otel.close()
    writer.close()
    assert json.loads(said_in.read_text())["dropped"] == 20
    assert "weir_otel_spans_dropped_total 20\n" in otel.metrics() and "weir_otel_spans_sent_total 1\n" in otel.metrics()
    assert sum(p.count for _, p in collector.metrics["mcp.server.operation.duration"]) == 21


def test_a_collector_that_is_away_delays_nobody_and_the_queue_is_bounded(database_url: str, tmp_path: Path) -> None:
    batch = a_batch(database_url, tmp_path)
    otel = Otel("http://127.0.0.1:9", spans=True, every_s=0.05)
    began = time.monotonic()
    while otel.sent.dropped + otel._refused <= QUEUE_MAX:
        before = time.monotonic()
        otel.wrote(batch)
        assert time.monotonic() - before < 1
        assert len(otel._queue) <= QUEUE_MAX
    assert time.monotonic() - began < 20
    before = time.monotonic()
    otel.close()
    assert time.monotonic() - before < 4


def test_what_strangers_name_makes_a_bounded_number_of_series(
    collector: Collector, database_url: str, tmp_path: Path
) -> None:
    batch = a_batch(database_url, tmp_path)
    otel = sink(collector, spans=False)
    row = batch.rows[0]
    names = [f"t{number}" for number in range(SERIES_MAX + 50)]
    otel.wrote(Batch(rows=[dataclasses.replace(row, target=name) for name in names]))
    wait(lambda: bool(collector.metrics))
    otel.close()
    points = [plain(p) for _, p in collector.metrics["weir.tokens.in"]]
    assert len(points) == SERIES_MAX + 1 and points.count({"otel.metric.overflow": "true"}) == 1


def test_from_a_client_to_the_collector_through_real_processes(
    collector: Collector, database_url: str, tmp_path: Path
) -> None:
    flags = ("--otel-endpoint", collector.url, "--otel-spans")
    with start_example("--json") as example, start_weir(example.url, tmp_path, database_url, *flags) as weir:
        asked = urllib.request.Request(weir.url, json.dumps({
            "jsonrpc": "2.0", "id": 7, "method": "tools/list", "params": {"_meta": {
                "traceparent": f"00-{TRACE}-{PARENT}-01"}}}).encode(),
            {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"})
        with contextlib.suppress(urllib.error.HTTPError):  # without a session it may be refused: that is a span too
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked, timeout=10).read()
        wait_until(lambda: len(collector.spans) == 1)
        said_in = tmp_path / "data" / "otel.json"
        wait_until(lambda: said_in.exists() and json.loads(said_in.read_text())["spans"] == 1)
        said = subprocess.run(
            [sys.executable, "-m", "mcp_weir", "status", "--database-url", database_url, "--data-dir",
             str(tmp_path / "data")], capture_output=True, text=True, timeout=30)
        assert "otel: 1 spans sent, 0 dropped, 0 exports not taken" in said.stdout, said
        admin = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with admin.open(f"http://127.0.0.1:{weir.admin_port}/metrics", timeout=5) as answer:
            assert b"\nweir_otel_spans_sent_total 1\n" in answer.read()
    resource, span = collector.spans[0]
    assert resource["service.name"] == f"127.0.0.1:{example.port}" and span.trace_id.hex() == TRACE


@pytest.mark.parametrize(("said", "hint"), [
    ({"otel_endpoint": "127.0.0.1:4318"}, "OTLP/HTTP base"),
    ({"otel_endpoint": "grpc://x:1"}, "OTLP/HTTP base"),
    ({"otel_endpoint": "http://u:hush@x:1"}, "OTEL_EXPORTER_OTLP_HEADERS"),
    ({"otel_spans": True}, "--otel-endpoint"),
])
def test_an_endpoint_that_is_none_is_said_before_anything_starts(said: dict[str, Any], hint: str) -> None:
    with pytest.raises(UsageError, match=hint) as caught:
        check_otel(Settings(**said))
    assert "hush" not in str(caught.value)
    check_otel(Settings(otel_endpoint="https://collector.example:4318/otlp", otel_spans=True))


class Batches:
    """A sink that keeps what it was told."""

    wants_rows = True

    def __init__(self) -> None:
        self.told: list[Batch] = []

    def wrote(self, batch: Batch) -> None:
        self.told.append(batch)


def a_batch(database_url: str, tmp_path: Path) -> Batch:
    """As the recorder makes it."""
    kept, writer = Batches(), writer_at(tmp_path)
    for number in range(100):
        spool(writer, call(number))
    with recording(database_url, tmp_path, [kept]):
        wait(lambda: count(database_url, "request_rows") == 100)
    writer.close()
    return Batch(rows=[row for batch in kept.told for row in (*batch.rows, *batch.packed.again)])
