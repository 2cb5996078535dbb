"""Metrics in the Prometheus text format (0.0.4), from what was committed since this process began.

Labels come from clients and servers: they are escaped, cut, and bounded in number; the rest is `other`. Never a session
or a request id. The histogram's name and buckets: OpenTelemetry semantic conventions for MCP.
"""

import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from mcp_weir.attribution.verdicts import ERRORS, Row
from mcp_weir.sinks.batch import Batch, CoverageRow, Kind
from mcp_weir.sinks.semconv import BUCKETS_S

OTHER = "other"
_NAMES_MAX = 200  # (method, tool) pairs that get labels of their own
_SERVICES_MAX = 50
_LABEL_MAX = 100
_MINUTES_MAX = 4096
_MINUTE = timedelta(minutes=1)
_SUMS = (
    ("weir_request_bytes_total", "Bytes of JSON-RPC requests"),
    ("weir_response_bytes_total", "Bytes of JSON-RPC answers"),
    ("weir_tokens_in_total", "Tokens in arguments, an estimate"),
    ("weir_tokens_out_total", "Tokens in results, an estimate"),
)
_BUCKETS_US = [round(bound * 1_000_000) for bound in BUCKETS_S]
Name = tuple[str, str, str]  # service, method, tool


class Metrics:
    """A Sink. Written by the drain's thread, read by the admin port's."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._services: set[str] = set()
        self._names: set[Name] = set()
        self._requests: dict[tuple[Name, str], int] = {}
        self._durations: dict[tuple[Name, str], list[float]] = {}  # counts by bucket, then +Inf, then the sum
        self._sums: dict[Name, list[int]] = {}
        self._seen: dict[tuple[UUID, datetime], tuple[int, dict[str, int]]] = {}  # what a page said last
        self._since: dict[UUID, datetime] = {}  # what is older is forgotten
        self._seen_total, self._dropped, self._quarantined = 0, dict[str, int](), 0

    @property
    def wants_rows(self) -> bool:
        """Sums are enough."""
        return False

    def wrote(self, batch: Batch) -> None:
        """Add a committed batch."""
        with self._lock:
            for row in batch.rows:
                if row.direction == "client" and row.method is not None:
                    self._add(row, row.method)
            for kind, took_us in batch.packed.took_us.items():
                self._add_quick(kind, took_us)
            for (_, kind, _, _), counts in batch.packed.sums.items():
                self._add_sums(self._name(kind.service, kind.method, kind.target), counts[2:])
            for entry in batch.coverage.values():
                self._add_coverage(entry)
            for stream in batch.buried:
                self._since.pop(stream, None)
            self._quarantined += len(batch.quarantine)

    def text(self) -> str:
        """The exposition."""
        with self._lock:
            return "".join(self._lines())

    def _add(self, row: Row, method: str) -> None:
        name = self._name(row.service, method, row.target or "")
        self._requests[name, row.outcome] = self._requests.get((name, row.outcome), 0) + 1
        self._add_sums(name, (row.request_bytes, row.response_bytes, row.tokens_in or 0, row.tokens_out or 0))
        if row.duration_ms is not None:
            self._add_durations(name, row.outcome, [round(row.duration_ms * 1000)])

    def _add_quick(self, kind: Kind, took_us: list[int]) -> None:
        name = self._name(kind.service, kind.method, kind.target)
        self._requests[name, kind.outcome] = self._requests.get((name, kind.outcome), 0) + len(took_us)
        self._add_durations(name, kind.outcome, took_us)

    def _add_sums(self, name: Name, values: Sequence[int]) -> None:
        sums = self._sums.setdefault(name, [0, 0, 0, 0])
        for at, value in enumerate(values):
            sums[at] += value

    def _add_durations(self, name: Name, outcome: str, took_us: list[int]) -> None:
        counts = self._durations.setdefault((name, outcome if outcome in ERRORS else ""), [0.0] * (len(BUCKETS_S) + 2))
        ordered, below = sorted(took_us), 0
        for at, bound_us in enumerate(_BUCKETS_US):
            upto = bisect_right(ordered, bound_us, below)
            counts[at] += upto - below
            below = upto
        counts[-2] += len(ordered) - below
        counts[-1] += sum(ordered) / 1_000_000

    def _name(self, service: str, method: str, target: str) -> Name:
        service = service if service in self._services or len(self._services) < _SERVICES_MAX else OTHER
        self._services.add(service)
        tool = target if method == "tools/call" else ""
        name = (service, method[:_LABEL_MAX], tool[:_LABEL_MAX])
        if name in self._names:
            return name
        if len(self._names) >= _NAMES_MAX:
            return (service, OTHER, OTHER)
        self._names.add(name)
        return name

    def _add_coverage(self, entry: CoverageRow) -> None:
        if entry.seen is None:
            return
        if entry.minute < self._since.get(entry.stream, entry.minute):
            return  # counted, and forgotten since: a stream that ends after days has its minute told again
        at = (entry.stream, entry.minute)
        seen, dropped = self._seen.get(at, (0, {}))
        self._seen_total += max(0, entry.seen - seen)
        for reason, n in (entry.dropped or {}).items():
            self._dropped[reason] = self._dropped.get(reason, 0) + max(0, n - dropped.get(reason, 0))
        self._seen[at] = (entry.seen, entry.dropped or {})
        if len(self._seen) > _MINUTES_MAX:
            self._forget()

    def _forget(self) -> None:
        """The older half of the minutes that are remembered."""
        for stream, minute in sorted(self._seen, key=lambda at: at[1])[:_MINUTES_MAX // 2]:
            del self._seen[stream, minute]
            self._since[stream] = max(self._since.get(stream, minute), minute + _MINUTE)

    def _lines(self) -> Iterable[str]:
        yield _head("weir_requests_total", "counter", "JSON-RPC requests of clients, by how they ended")
        for (name, outcome), n in self._requests.items():
            yield f"weir_requests_total{{{_labels(name)},outcome=\"{outcome}\"}} {n}\n"
        for at, (metric, says) in enumerate(_SUMS):
            yield _head(metric, "counter", says)
            for name, sums in self._sums.items():
                yield f"{metric}{{{_labels(name)}}} {sums[at]}\n"
        yield from self._histogram()
        yield _head("weir_exchanges_seen_total", "counter", "HTTP exchanges on MCP paths")
        yield f"weir_exchanges_seen_total {self._seen_total}\n"
        yield _head("weir_exchanges_dropped_total", "counter", "Exchanges that were not recorded")
        for reason, n in self._dropped.items():
            yield f"weir_exchanges_dropped_total{{reason=\"{_escaped(reason)}\"}} {n}\n"
        yield _head("weir_quarantined_total", "counter", "What the database refused")
        yield f"weir_quarantined_total {self._quarantined}\n"

    def _histogram(self) -> Iterable[str]:
        metric = "mcp_server_operation_duration_seconds"
        yield _head(metric, "histogram", "From a request's first byte to its result")
        for (name, error), counts in self._durations.items():
            labels = _labels(name) + (f",error_type=\"{error}\"" if error else "")
            below = 0.0
            for bound, n in zip((*map(str, BUCKETS_S), "+Inf"), counts, strict=False):
                below += n
                yield f"{metric}_bucket{{{labels},le=\"{bound}\"}} {below:.0f}\n"
            yield f"{metric}_sum{{{labels}}} {counts[-1]:.6f}\n{metric}_count{{{labels}}} {below:.0f}\n"


def _labels(name: Name) -> str:
    service, method, tool = map(_escaped, name)
    return f"service=\"{service}\",mcp_method_name=\"{method}\"" + (f",gen_ai_tool_name=\"{tool}\"" if tool else "")


def _escaped(text: str) -> str:
    """As the format asks, and nothing that a terminal would take for a command."""
    shown = "".join(char if char.isprintable() else " " for char in text)
    return shown.replace("\\", "\\\\").replace('"', '\\"')


def _head(name: str, kind: str, says: str) -> str:
    return f"# HELP {name} {says}\n# TYPE {name} {kind}\n"
