"""What one transaction of the recorder writes, as values."""

import dataclasses
import uuid
from collections import defaultdict
from datetime import datetime

from mcp_weir.attribution.sessions import SessionDelta, SessionEnd
from mcp_weir.attribution.state import ExchangeId, ExchangeState
from mcp_weir.attribution.verdicts import Row, wall
from mcp_weir.sinks.settler import ToDerive
from mcp_weir.sinks.waiting import Waits


@dataclasses.dataclass(frozen=True, slots=True)
class Advance:
    """One segment's position, before and after the batch."""

    segment: uuid.UUID
    stream: uuid.UUID
    old: int
    new: int
    done: bool


@dataclasses.dataclass(frozen=True, slots=True)
class StreamRow:
    """A standing stream, as weir.stream_rows keeps it."""

    stream_key: uuid.UUID
    service: str
    instance: str
    session_key: uuid.UUID | None
    kind: str
    opened_at: datetime
    closed_at: datetime | None
    closed_by: str | None
    events: int
    bytes: int
    resumed_from: uuid.UUID | None


@dataclasses.dataclass(frozen=True, slots=True)
class CatalogRow:
    """One tool as it was listed, so many times."""

    service: str
    content_hash: bytes
    tool: str
    description: str | None
    schema_hash: bytes
    tokens: int
    first_seen: datetime
    last_seen: datetime
    times: int


@dataclasses.dataclass(frozen=True, slots=True)
class Touch:
    """What a batch adds to a session whose row says everything else already; field names are its columns."""

    session_key: uuid.UUID
    last_seen_at: datetime
    request_count: int
    tool_call_count: int
    call_count: int
    error_count: int
    request_bytes: int
    response_bytes: int
    tokens_in: int
    tokens_out: int


@dataclasses.dataclass(slots=True)
class CoverageRow:
    """A minute of one worker's life: `seen`, `spooled` and `dropped` are totals, `stored` and the rest are added."""

    stream: uuid.UUID
    minute: datetime
    service: str
    instance: str
    seen: int | None = None
    spooled: int | None = None
    dropped: dict[str, int] | None = None
    stored: int = 0
    quarantined: int = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Quarantined:
    """What Postgres (or our own reading) refused, after policy."""

    service: str
    instance: str
    raw: bytes
    reason: str


METHOD_MAX, TARGET_MAX, CLIENT_MAX = 64, 200, 64  # characters in a rollup's key: an index entry has a limit
WideKey = tuple[datetime, str, str, str, str, str, str, int]
TotalKey = tuple[datetime, str, bool, str, int]
FacetKey = tuple[str, str, datetime, str, bool, str]
LatencyKey = tuple[str, str, datetime, str, int]
Counts = list[int]  # requests, duration_us, request_bytes, response_bytes, tokens_in, tokens_out


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Kind:
    """What requests of one kind have in common: method, target and how they ended. Compared by identity."""

    service: str
    method: str
    target: str
    outcome: str
    http_status: int | None
    error_code: int | None
    error_message: str | None
    is_tool: bool
    is_call: bool
    is_error: bool
    packed: bytes  # their part of a packed row


Sizes = tuple[int, int, int, int, int]  # of a row: duration_us, request_bytes, response_bytes, tokens_in, tokens_out
PackedKey = tuple[int, Kind, str | None, int]  # Unix minute, kind, client's label, latency bucket
Failure = tuple[datetime, str, str, str, str, str, int, int, str | None, uuid.UUID]


@dataclasses.dataclass(slots=True)
class Packed:
    """Rows of clients' requests that came the quick way, packed, and what they add up to."""

    rows: list[bytes] = dataclasses.field(default_factory=list)
    queue: list[bytes] = dataclasses.field(default_factory=list)  # for weir.derived_queue
    noted: defaultdict[PackedKey, list[Sizes]] = dataclasses.field(default_factory=lambda: defaultdict(list))
    sums: dict[PackedKey, Counts] = dataclasses.field(default_factory=dict)  # of what was noted, by add_up()
    took_us: dict[Kind, list[int]] = dataclasses.field(default_factory=dict)
    failed: list[Failure] = dataclasses.field(default_factory=list)
    again: list[Row] = dataclasses.field(default_factory=list)  # the same rows as values, where a sink wants them

    def minutes(self) -> set[datetime]:
        """When the rows began, in minutes."""
        return {wall(minute * 60_000_000) for minute in {at[0] for at in self.sums}}

    def add_up(self) -> None:
        """Sums of what was noted: by columns, which takes a tenth of adding row by row."""
        for at, sizes in self.noted.items():
            took_us, *others = zip(*sizes, strict=True)
            self.sums[at] = [len(took_us), sum(took_us), *map(sum, others)]
            self.took_us.setdefault(at[1], []).extend(took_us)
        self.noted.clear()


@dataclasses.dataclass(slots=True)
class Rollups:
    """Sums over rows by grain (minute, hour, day), as the tables rollup_*, total_*, facet_*, latency_* keep them."""

    wide: dict[str, dict[WideKey, Counts]] = dataclasses.field(default_factory=dict)
    total: dict[str, dict[TotalKey, Counts]] = dataclasses.field(default_factory=dict)
    facets: dict[str, dict[FacetKey, Counts]] = dataclasses.field(default_factory=dict)  # counts: and timed, second
    latencies: dict[str, dict[LatencyKey, Counts]] = dataclasses.field(default_factory=dict)  # counts: calls
    failed: list[Failure] = dataclasses.field(default_factory=list)  # not ok: SQL says which of them are errors


@dataclasses.dataclass(slots=True)
class Batch:
    """Everything one transaction writes."""

    advances: list[Advance] = dataclasses.field(default_factory=list)
    rows: list[Row] = dataclasses.field(default_factory=list)
    packed: Packed = dataclasses.field(default_factory=Packed)
    rollups: Rollups = dataclasses.field(default_factory=Rollups)
    queue: list[ToDerive] = dataclasses.field(default_factory=list)
    sessions: dict[uuid.UUID, SessionDelta] = dataclasses.field(default_factory=dict)
    touched: dict[uuid.UUID, Touch] = dataclasses.field(default_factory=dict)
    refused: dict[uuid.UUID, SessionDelta] = dataclasses.field(default_factory=dict)  # counts for a session that exists
    ends: list[SessionEnd] = dataclasses.field(default_factory=list)
    waits: Waits = dataclasses.field(default_factory=Waits)
    open: dict[ExchangeId, ExchangeState] = dataclasses.field(default_factory=dict)
    pending: list[tuple[Row, int]] = dataclasses.field(default_factory=list)
    gone: set[ExchangeId] = dataclasses.field(default_factory=set)
    fresh: set[ExchangeId] = dataclasses.field(default_factory=set)  # opened in this batch: nothing of them stands yet
    streams: dict[uuid.UUID, StreamRow] = dataclasses.field(default_factory=dict)
    catalog: dict[tuple[str, bytes], CatalogRow] = dataclasses.field(default_factory=dict)
    coverage: dict[tuple[uuid.UUID, datetime], CoverageRow] = dataclasses.field(default_factory=dict)
    quarantine: list[Quarantined] = dataclasses.field(default_factory=list)
    buried: list[uuid.UUID] = dataclasses.field(default_factory=list)  # streams that are dead and wholly read
