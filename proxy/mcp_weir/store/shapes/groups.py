"""Tools, clients, users, eras, errors: rows grouped. Pure."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from mcp_weir.store.shapes.figures import Point, Share, Totals
from mcp_weir.store.shapes.rows import RequestRow


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolSummary:
    """A tool in a window; `listed` is None where no tools/list showed it. `spark` is its calls over time."""

    name: str
    service: str
    totals: Totals
    last_called_at: datetime | None = None
    listed: bool | None = None
    context_tokens: int = 0  # what its description costs in each tools/list
    spark: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogVersion:
    """One version of a tool's description and schema, with how its calls fared while it was the newest."""

    tool: str
    service: str
    content_hash: str
    schema_hash: str | None
    description: str | None
    tokens: int
    first_seen: datetime
    last_seen: datetime
    times_listed: int
    calls: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorGroup:
    """Failures alike: same layer, fault, outcome, code, target and message with digits and quoted parts blanked."""

    layer: str  # connection | http | rpc | tool
    fault: str  # client | server | network | weir
    outcome: str
    method: str | None
    target: str | None
    http_status: int | None
    error_code: int | None
    message: str | None
    count: int
    clients: tuple[str, ...]
    first_at: datetime
    last_at: datetime
    last_request_key: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolDetail:
    """One tool in a window. `before` and `after`: the calls next to its own in a session (of its newest 100)."""

    tool: ToolSummary
    previous: Totals
    series: tuple[Point, ...]
    outcomes: tuple[Share, ...]
    errors: tuple[ErrorGroup, ...]
    slowest: tuple[RequestRow, ...]
    callers: tuple[Share, ...]
    before: tuple[Share, ...]
    after: tuple[Share, ...]
    versions: tuple[CatalogVersion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextEntry:
    """What one listed tool costs: tokens of each listing against the calls it got."""

    tool: str
    service: str
    tokens: int
    times_listed: int
    first_seen: datetime
    last_seen: datetime
    calls: int  # in the window
    versions: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ContextLedger:
    """What tools/list costs. `per_session` is the mean of its answers' tokens over the window's sessions."""

    lists: int  # tools/list requests in the window
    tokens: int  # of their answers
    sessions: int
    per_session: float
    entries: tuple[ContextEntry, ...]  # most tokens first
    never_called: tuple[ContextEntry, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientSummary:
    """A client by its label, in a window; sessions are those seen in it."""

    label: str
    totals: Totals
    sessions: int
    ghosts: int
    versions: tuple[str, ...]
    eras: tuple[str, ...]
    protocol_versions: tuple[str, ...]
    last_seen_at: datetime | None
    spark: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EraShare:
    """Sessions by era, revision and client: who still speaks what."""

    era: str
    protocol_version: str | None
    sessions: int
    requests: int
    clients: tuple[Share, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EraPoint:
    """Sessions begun in one step of time, by era."""

    at: datetime
    legacy: int
    modern: int
    unknown: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PrincipalSummary:
    """A user by keyed hash (and by name where kept): the sessions seen in the window, with their whole figures."""

    principal_key: str
    principal: str | None
    sessions: int
    clients: tuple[str, ...]
    requests: int
    calls: int
    errors: int
    tokens_in: int
    tokens_out: int
    first_seen_at: datetime
    last_seen_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchHit:
    """Something whose name or text holds the words: `kind` is session, request, tool, client, principal."""

    kind: str
    key: str  # a uuid or a name, as the page of its kind takes it
    title: str
    detail: str
    at: datetime | None
