"""Transport sessions: what a batch adds to each, and how they end. Pure.

Sessions merge by commutative rules, so that workers and replicas may write in any order: what is counted is
added, who the client is comes from the earliest exchange that says so, address and agent from the earliest
exchange. A session is what the server accepted: never one that only a 4xx answered to.
"""

import dataclasses
import re
import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

from mcp_weir.attribution.state import ExchangeState
from mcp_weir.attribution.verdicts import ERRORS, Row, wall
from mcp_weir.traffic.facts import Identity, request_key
from mcp_weir.traffic.labels import label

_SESSION_UNKNOWN = re.compile(  # the SDKs' own words under 400, and those of servers in the field
    r"(?i)no valid session|(?:invalid|unknown|expired)(?: or (?:invalid|unknown|expired))? session"
    r"|session (?:id )?(?:\S+ )?(?:was |is |has )?(?:not found|unknown|invalid|expired|terminated|does not exist)")
CALLS = frozenset({"tools/call", "prompts/get", "resources/read", "completion/complete"})


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
    seen_by: uuid.UUID
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
    identity_at: datetime | None = None
    identity_by: uuid.UUID | None = None
    begun_stream: uuid.UUID | None = None
    begun_connection: int | None = None
    request_count: int = 0
    tool_call_count: int = 0
    call_count: int = 0
    error_count: int = 0
    request_bytes: int = 0
    response_bytes: int = 0
    tokens_in: int = 0
    tokens_out: int = 0

    def count(self, row: Row) -> None:
        """Add one final row."""
        self.last_seen_at = max(self.last_seen_at, row.started_at)
        if row.method is not None:
            self.request_count += 1
            self.tool_call_count += row.method == "tools/call" and row.direction == "client"
            self.call_count += row.method in CALLS and row.direction == "client"
        self.error_count += row.outcome in ERRORS
        self.request_bytes += row.request_bytes
        self.response_bytes += row.response_bytes
        self.tokens_in += row.tokens_in or 0
        self.tokens_out += row.tokens_out or 0
        if self.era == "unknown":
            self.era = row.era

    def add(self, last_seen_at: datetime, counts: Sequence[int]) -> None:
        """Add several rows: requests, tool calls, calls, errors, bytes and tokens in and out."""
        self.last_seen_at = max(self.last_seen_at, last_seen_at)
        self.request_count += counts[0]
        self.tool_call_count += counts[1]
        self.call_count += counts[2]
        self.error_count += counts[3]
        self.request_bytes += counts[4]
        self.response_bytes += counts[5]
        self.tokens_in += counts[6]
        self.tokens_out += counts[7]

    def introduce(self, state: ExchangeState) -> None:
        """Take what this exchange says of client, server and network, where it is the earliest to say so."""
        at, by = wall(state.opened.wall_us), exchange_key(state)
        self.last_seen_at = max(self.last_seen_at, at)
        if self.session_key == state.opened.session:
            self.session_id = self.session_id or state.opened.session_id
        if (at, by.int) <= (self.started_at, self.seen_by.int):
            self._see(state, at, by)
        for member, request in state.requests.items():
            answer = state.answers.get(member)
            if request.client is not None and (self.identity_at is None or at <= self.identity_at):
                self._identify(state, request.client, at, by)
            if request.method == "initialize" and answer is not None:
                self._begin(state)
                self.session_id = answer.session_id or self.session_id
                self.protocol_version = answer.protocol_version or self.protocol_version
                if answer.server is not None:
                    self.server_name, self.server_version = answer.server.name, answer.server.version

    def _see(self, state: ExchangeState, at: datetime, by: uuid.UUID) -> None:
        opened = state.opened
        self.started_at, self.seen_by, self.instance = at, by, state.origin.instance
        self.user_agent, self.remote_addr = opened.user_agent, opened.client_addr
        self.principal, self.principal_key = opened.principal, opened.principal_key
        if self.identity_at is None:
            self.protocol_version = opened.protocol_version

    def _identify(self, state: ExchangeState, client: Identity, at: datetime, by: uuid.UUID) -> None:
        self.client_name, self.client_version = client.name, client.version
        self.client_capabilities = client.capabilities
        self.client_label = label(client.name, client.version, state.opened.user_agent)
        self.identity_at, self.identity_by = at, by

    def _begin(self, state: ExchangeState) -> None:
        if not state.opened.proxied and state.opened.connection:
            self.begun_stream, self.begun_connection = state.origin.stream, state.opened.connection


@dataclasses.dataclass(frozen=True, slots=True)
class SessionEnd:
    """A session was ended, or was not known to its server any more; columns of weir.session_ends."""

    session_key: uuid.UUID
    reason: str  # client_delete | lost | replaced | transport_closed
    at: datetime
    closed_by: str | None
    stream: uuid.UUID | None
    connection: int | None


def exchange_key(state: ExchangeState) -> uuid.UUID:
    """Names an exchange; breaks ties of time."""
    return request_key(state.origin.stream, state.opened.exchange, 0)


def begin(state: ExchangeState, session: uuid.UUID) -> SessionDelta:
    """The delta of a session that this exchange spoke in."""
    opened = state.opened
    return SessionDelta(
        session_key=session, service=state.origin.service, instance=state.origin.instance,
        source="endpoint" if opened.transport in ("sse", "messages") else "header", confidence=1.0,
        started_at=wall(opened.wall_us), last_seen_at=wall(opened.wall_us), seen_by=exchange_key(state),
    )


def accepted(state: ExchangeState) -> bool:
    """The server took this exchange as part of its session."""
    closed = state.closed
    if closed is None:
        return bool(state.answers)
    if closed.upstream_error is not None or closed.status is None or closed.status >= 300:
        return False
    asked = [r for r in state.requests.values() if r.method == "initialize"]
    return not asked or state.opened.session is not None or state.assigned is not None


def end_of(state: ExchangeState) -> SessionEnd | None:
    """How this exchange ended the session that it named or opened, if it did."""
    closed, session = state.closed, state.opened.session or state.assigned
    if session is None or (closed is None and not (state.interrupted and state.opened.transport == "sse")):
        return None
    at = wall(state.opened.wall_us) + timedelta(microseconds=closed.at_us if closed else 0)
    status = (closed.status if closed else None) or 0
    if state.opened.http_method == "DELETE" and (200 <= status < 300 or status == 405):
        reason = "client_delete"  # 405: servers need not let clients end sessions; this client is done all the same
    elif _unknown_to_server(state, status):
        reason = "lost"
    elif state.opened.session is not None and state.assigned not in (None, state.opened.session) and status < 400:
        reason = "replaced"  # `initialize` within a session began another
    elif state.opened.transport == "sse" and status < 400:
        reason = "transport_closed"
    else:
        return None
    connection = state.opened.connection or None
    return SessionEnd(
        session, reason, at, closed.closed_by if closed else None,
        None if state.opened.proxied else state.origin.stream, connection,
    )


def _unknown_to_server(state: ExchangeState, status: int) -> bool:
    """404 says so by the protocol; some servers answer 400 and say it in words. Void if it is heard of again.

    A 404 to GET or DELETE that is no JSON may come from a framework that routes POST alone.
    """
    closed = state.closed
    if closed is None or closed.upstream_error is not None or state.opened.session is None:
        return False
    if status == 404:
        return state.opened.http_method == "POST" or closed.response_kind == "json"
    told = (answer.error_message or "" for answer in state.answers.values())
    return status == 400 and any(_SESSION_UNKNOWN.search(message) for message in told)
