"""Sessions from rows: by transport id where there is one, else derived and marked as such. Pure.

Sessions merge by commutative rules, so that workers and replicas may write in any order.
"""

import dataclasses
import uuid
from datetime import datetime, timedelta

from mcp_weir.attribution.state import ExchangeState
from mcp_weir.attribution.verdicts import ERRORS, Row
from mcp_weir.traffic.facts import Identity

_DERIVED = uuid.UUID("6d63702d-7765-8972-8000-646572697665")


@dataclasses.dataclass(slots=True, kw_only=True)
class SessionDelta:
    """What a batch adds to one session; field names are the columns of weir.session_rows."""

    session_key: uuid.UUID
    service: str
    instance: str
    source: str
    confidence: float
    started_at: datetime
    last_seen_at: datetime
    era: str = "unknown"
    session_id: str | None = None
    client_name: str | None = None
    client_version: str | None = None
    client_label: str | None = None
    client_capabilities: str | None = None
    user_agent: str | None = None
    protocol_version: str | None = None
    server_name: str | None = None
    server_version: str | None = None
    principal: str | None = None
    principal_key: bytes | None = None
    remote_addr: str | None = None
    ended_at: datetime | None = None
    end_reason: str | None = None
    identity_at: datetime | None = None
    request_count: int = 0
    tool_call_count: int = 0
    error_count: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def count(self, row: Row) -> None:
        """Add one final row."""
        self.last_seen_at = max(self.last_seen_at, row.started_at)
        self.started_at = min(self.started_at, row.started_at)
        if row.method is not None:
            self.request_count += 1
            self.tool_call_count += row.method == "tools/call" and row.direction == "client"
        self.error_count += row.outcome in ERRORS
        self.request_bytes += row.request_bytes
        self.response_bytes += row.response_bytes
        self.tokens_in += row.tokens_in or 0
        self.tokens_out += row.tokens_out or 0
        if self.era == "unknown":
            self.era = row.era

    def introduce(self, state: ExchangeState) -> None:
        """Take the client's and server's identity where this exchange says it."""
        opened = state.opened
        self.user_agent = self.user_agent or opened.user_agent
        self.principal = self.principal or opened.principal
        self.principal_key = self.principal_key or opened.principal_key
        self.remote_addr = self.remote_addr or opened.client_addr
        self.session_id = self.session_id or opened.session_id
        self.protocol_version = self.protocol_version or opened.protocol_version
        for member, request in state.requests.items():
            answer = state.answers.get(member)
            if request.client is not None:
                self._client(request.client)
            if answer is not None and answer.server is not None:
                self.server_name, self.server_version = answer.server.name, answer.server.version
            if answer is not None and answer.protocol_version:
                self.protocol_version = answer.protocol_version
            if answer is not None and answer.session_id:
                self.session_id = answer.session_id

    def _client(self, client: Identity) -> None:
        self.client_name, self.client_version = client.name, client.version
        self.client_capabilities = client.capabilities
        self.client_label = client.name
        self.identity_at = self.started_at


@dataclasses.dataclass(slots=True)
class DerivedSessions:
    """Sessions where the protocol has none: one per principal (or address) and client, ended by a pause.

    Deliberately cautious: the confidence says that two conversations of one such client count as one.
    """

    idle_window: timedelta
    live: dict[tuple[str, ...], tuple[uuid.UUID, datetime]] = dataclasses.field(default_factory=dict)

    def key_for(self, row: Row) -> tuple[uuid.UUID, str, float]:
        """(session_key, source, confidence) for a row without a transport session."""
        client = (row.client_name or "", row.client_version or "", row.user_agent or "")
        if row.principal_key:
            source, confidence, scope = "principal", 0.7, (row.service, row.principal_key.hex(), *client)
        else:
            source, confidence, scope = "client", 0.4, (row.service, row.remote_addr or "", *client)
        known = self.live.get(scope)
        if known is not None and abs(row.started_at - known[1]) <= self.idle_window:
            key, seen = known[0], max(known[1], row.started_at)
        else:
            key, seen = uuid.uuid5(_DERIVED, str(row.request_key)), row.started_at
        self.live[scope] = (key, seen)
        return key, source, confidence
