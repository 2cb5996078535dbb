"""How recording fares, alerts, and the first page. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from mcp_weir.store.shapes.figures import Point, Totals
from mcp_weir.store.shapes.groups import ClientSummary, ErrorGroup, ToolSummary
from mcp_weir.store.shapes.rows import RequestRow
from mcp_weir.store.shapes.windows import Window


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """A stretch of minutes in which exchanges were not recorded."""

    service: str
    instance: str
    since: datetime
    until: datetime
    lost: int
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class CoverageRow:
    """One minute and instance: seen = stored + waiting + open + dropped + quarantined."""

    minute: datetime
    service: str
    instance: str
    seen: int
    stored: int
    waiting: int  # spooled, not stored yet
    open: int  # still running
    dropped: int
    reasons: Mapping[str, int]
    quarantined: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """Recording in a window: what passed against what is stored. `last_commit_at`: when a recorder last wrote."""

    seen: int = 0
    stored: int = 0
    waiting: int = 0
    open: int = 0
    dropped: int = 0
    quarantined: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()
    last_commit_at: datetime | None = None
    schema_version: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """When to raise an alert; the settings alert_*."""

    error_rate: float = 0.2
    slow_ms: float = 2000.0
    spike: float = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Look at this now. `says` is one sentence; `kind`: error_rate, spike, slow_tool, recording_gap, .."""

    kind: str
    severity: str  # warning | critical
    service: str
    subject: str  # the tool, or '' for the whole service
    says: str
    value: float
    threshold: float
    since: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Overview:
    """The first page."""

    window: Window
    active_sessions: int
    active_clients: int
    sessions: int  # seen in the window, ghosts apart
    ghosts: int
    totals: Totals
    previous: Totals
    series: tuple[Point, ...]
    tools: tuple[ToolSummary, ...]  # ten, most calls first
    clients: tuple[ClientSummary, ...]  # ten, most requests first
    recent: tuple[RequestRow, ...]  # twenty, newest first
    errors: tuple[ErrorGroup, ...]  # five, most first
    health: Health
    alerts: tuple[Alert, ...]
    services: tuple[str, ...]
