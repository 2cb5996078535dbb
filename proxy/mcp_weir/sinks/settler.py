"""Derived sessions in Postgres: settles what is queued, scope by scope, each under its advisory lock.

Any recorder may run it at any time; two never work on one scope at once. What is settled comes out the same in
whatever order and by whomever it was written. What comes behind the frontier (a replica that was cut off for
longer than the watermark waits) has its scope derived again, from the last pause before it.
"""

import dataclasses
import uuid
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from operator import attrgetter

import msgspec
import psycopg

from mcp_weir.attribution.confidence import confidence
from mcp_weir.attribution.conversations import Conversation, Scope
from mcp_weir.attribution.derived import Queued, Settlement, settle
from mcp_weir.attribution.evidence import COUNTED, Asked, Counted, Said, asked_of, belongs, counted_of, lead_key
from mcp_weir.attribution.ladder import BURST_US
from mcp_weir.attribution.verdicts import wall
from mcp_weir.sinks import arrays

_ROWS_A_RUN = 10_000  # so that the drain never waits long
_LOOK_BACK = timedelta(days=1)  # the farthest that a scope is derived again
_ROWS_AGAIN = 200_000  # beyond it (a scope that never pauses) what is late is taken as if it came last
_ALL = 1 << 62
_FORGET_SCOPES = timedelta(days=2)
_WHO = ("service", "instance", "era", "protocol_version", "client_name", "client_version", "client_label", "user_agent",
        "principal_key", "remote_addr")
_SAID = ("client_capabilities", "principal", "server_name", "server_version")
_SESSION = ("session_key", "source", "confidence", "evidence", "provisional", "started_at", "last_seen_at", *_WHO,
            *_SAID, *COUNTED)
_TYPES = {"session_key": "uuid", "confidence": "real", "provisional": "boolean", "started_at": "timestamptz",
          "last_seen_at": "timestamptz", "principal_key": "bytea", "remote_addr": "inet",
          "client_capabilities": "jsonb", **dict.fromkeys(COUNTED, "bigint")}


@dataclasses.dataclass(frozen=True, slots=True)
class ToDerive:
    """A row for weir.derived_queue; field names are its columns."""

    scope: bytes
    started_at: datetime
    request_key: uuid.UUID
    lead_key: uuid.UUID
    lead_at: datetime
    evidence: bytes | None
    counts: bytes | None


@dataclasses.dataclass(frozen=True, slots=True)
class Stored:
    """A stored row, as evidence; field names are the columns of weir.request_rows."""

    request_key: uuid.UUID
    started_at: datetime
    service: str
    instance: str
    session_key: uuid.UUID | None
    direction: str
    method: str | None
    jsonrpc_id: str | None
    outcome: str
    http_status: int | None
    end_ms: float | None
    request_bytes: int
    response_bytes: int
    tokens_in: int | None
    tokens_out: int | None
    flags: list[str]
    trace_id: str | None
    era: str
    protocol_version: str | None
    client_name: str | None
    client_version: str | None
    client_label: str | None
    principal_key: bytes | None
    remote_addr: str | None
    user_agent: str | None
    stream: uuid.UUID
    connection: int
    handle: bytes | None
    proxied: bool


_QUEUED = tuple(field.name for field in dataclasses.fields(ToDerive))
_values = attrgetter(*_QUEUED)
_COLUMNS = ", ".join("host(remote_addr)" if f.name == "remote_addr" else f.name for f in dataclasses.fields(Stored))


def enqueue(conn: psycopg.Connection, rows: Sequence[ToDerive]) -> None:
    """Queue rows, within the batch's transaction."""
    if not rows:
        return
    with conn.cursor() as cur, cur.copy(
        f"COPY weir.derived_queue ({', '.join(_QUEUED)}) FROM STDIN (FORMAT BINARY)".encode()
    ) as copy:
        copy.set_types(["bytea", "timestamptz", "uuid", "uuid", "timestamptz", "bytea", "bytea"])
        for row in rows:
            copy.write_row(_values(row))


class Settler:
    """One recorder's hand in it."""

    def __init__(self, conn: psycopg.Connection, idle_window: timedelta) -> None:
        self._conn, self._window_us = conn, int(idle_window.total_seconds() * 1e6)
        self._partitions: set[object] = set()

    def run(self, watermark_us: int) -> int:
        """Settle what is queued; returns how many rows it looked at. Leaves what another recorder works on."""
        try:
            with self._conn.transaction():
                self._conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
                self._conn.execute(_BEFORE_LOOKING)
                return self._run(watermark_us)
        except (psycopg.errors.SerializationFailure, psycopg.errors.DeadlockDetected, psycopg.errors.LockNotAvailable):
            return 0  # another recorder was at it, or somebody is being forgotten: next time

    def _run(self, watermark_us: int) -> int:
        scopes = self._lock()
        if not scopes:
            return 0
        queued = self._queued(scopes)
        states = self._states(scopes)
        known = self._known([(q, at) for rows in queued.values() for q, at in rows])
        settled, cut_us = [], _cut_us(queued)
        for scope, rows in queued.items():
            state = states.get(scope, Scope())
            late = [q for q, _ in rows if q.leads and q.at_us // BURST_US <= state.frontier_us // BURST_US]
            entries = [q for q, _ in rows]
            if late and watermark_us < state.frontier_us + 2 * BURST_US:  # whoever is behind is still catching up
                behind = {q.lead_key for q in late}
                entries, late = [q for q in entries if q.lead_key not in behind], []
            again = self._since_pause(late) if late else []
            if again:
                settled.append((scope, self._again(again, entries, state, watermark_us)))
            else:
                settled.append((scope, settle(state, entries, known, min(watermark_us, cut_us), self._window_us)))
        self._write(settled)
        return sum(len(rows) for rows in queued.values())

    def _lock(self) -> list[bytes]:
        found = self._conn.execute(
            "SELECT scope FROM (SELECT DISTINCT scope FROM (SELECT scope FROM weir.derived_queue ORDER BY started_at"
            " LIMIT %s) q ORDER BY scope LIMIT 1000) s"
            " WHERE pg_try_advisory_xact_lock(hashtextextended(encode(scope, 'hex'), 7))", (_ROWS_A_RUN,))
        return [scope for (scope,) in found.fetchall()]

    def _queued(self, scopes: list[bytes]) -> dict[bytes, list[tuple[Queued, datetime]]]:
        found = self._conn.execute(
            "SELECT scope, id, (extract(epoch FROM started_at) * 1e6)::bigint, request_key, lead_key, lead_at,"
            " evidence, counts FROM weir.derived_queue WHERE scope = ANY(%s) ORDER BY started_at LIMIT %s",
            (scopes, _ROWS_A_RUN))
        rows: dict[bytes, list[tuple[Queued, datetime]]] = defaultdict(list)
        for scope, number, at_us, key, lead, lead_at, evidence, counts in found.fetchall():
            asked = msgspec.msgpack.decode(evidence, type=Asked) if evidence else None
            counted = msgspec.msgpack.decode(counts, type=Counted) if counts else None
            rows[scope].append((Queued(number, at_us, key, lead, asked, counted), lead_at))
        return rows

    def _states(self, scopes: list[bytes]) -> dict[bytes, Scope]:
        found = self._conn.execute("SELECT scope, state, (extract(epoch FROM now()) * 1e6)::bigint"
                                   " FROM weir.derived_scopes WHERE scope = ANY(%s)", (scopes,))
        states = {}
        for scope, packed, now_us in found.fetchall():
            state = states[scope] = msgspec.msgpack.decode(packed, type=Scope)
            state.frontier_us = min(state.frontier_us, now_us)  # a clock that was ahead must not make all after it late
        return states

    def _known(self, rows: list[tuple[Queued, datetime]]) -> dict[uuid.UUID, uuid.UUID]:
        """Sessions of leads that are settled already."""
        here = {q.lead_key for q, _ in rows if q.leads}
        wanted = sorted({(q.lead_key, at) for q, at in rows if q.lead_key not in here})
        if not wanted:
            return {}
        found = self._conn.execute(_KNOWN, arrays.columns(_KNOWN, wanted))
        return dict(found.fetchall())

    def _again(
        self, rows: list[tuple[Stored, int]], entries: list[Queued], state: Scope, watermark_us: int
    ) -> Settlement:
        """Derive a scope again from the last pause before what came late."""
        found = self._conn.execute(_SHOWN, ([row.request_key for row, _ in rows], wall(min(at for _, at in rows))))
        shown = {key: (session, _said(*said)) for key, session, *said in found.fetchall()}
        old = {session for session, _ in shown.values()}
        fresh = [Queued(0, at_us, row.request_key, lead_key(row.request_key), asked_of(row, at_us),
                        None if row.outcome == "running" else
                        counted_of(row, at_us, shown.get(row.request_key, _NOTHING)[1])) for row, at_us in rows]
        settled = settle(Scope(), fresh, {}, watermark_us, self._window_us)
        until_us = settled.scope.frontier_us
        firm = {q.request_key for q in fresh if q.at_us <= until_us}
        settled.done = [q.id for q in entries if q.request_key in firm]
        new = {conversation.key for conversation, _ in settled.sessions}
        settled.vanished = sorted((old | set(state.shown)) - new)
        return settled

    def _since_pause(self, late: list[Queued]) -> list[tuple[Stored, int]]:
        """The scope's rows and their times from there on; empty where there are too many."""
        first = min(late, key=lambda q: q.at_us)
        assert first.asked is not None
        who, since = first.asked.who, wall(first.at_us) - _LOOK_BACK
        whose: tuple[str, object] = ("handle IS NULL AND remote_addr IS NOT DISTINCT FROM %s::inet", who.remote_addr)
        if who.principal_key is not None:
            whose = "principal_key = %s", who.principal_key
        elif first.asked.handle is not None:
            whose = "handle = %s", first.asked.handle
        where = (f"WHERE session_key IS NULL AND service = %s AND started_at >= %s AND {whose[0]}"
                 f" AND principal_key IS {'NOT ' if who.principal_key is not None else ''}NULL")
        found = self._conn.execute(
            f"(SELECT {_COLUMNS} FROM weir.request_rows {where} LIMIT {_ROWS_AGAIN + 1})"
            f" UNION ALL SELECT {_COLUMNS} FROM weir.pending_requests {where}".encode(),
            (who.service, since, whose[1]) * 2)
        stored = [Stored(*row) for row in found.fetchall()]
        if len(stored) > _ROWS_AGAIN:
            return []
        rows = sorted(((row, _us(row.started_at)) for row in stored if belongs(row)), key=lambda pair: pair[1])
        start = 0
        for at in range(1, len(rows)):
            if rows[at][1] > first.at_us:
                break
            if rows[at][1] - rows[at - 1][1] > self._window_us:
                start = at
        return rows[start:]

    def _write(self, settled: list[tuple[bytes, Settlement]]) -> None:
        mapping = [(key, wall(at_us), session) for _, s in settled for key, (at_us, session) in s.mapping.items()]
        for day in {at.date() for _, at, _ in mapping} - self._partitions:
            self._conn.execute("SELECT weir.ensure_derived_partition(%s)", (day,))
            self._partitions.add(day)
        self._unnest(_MAP, sorted(mapping))
        self._unnest(_SAY, [_session_row(c, open_) for _, s in settled for c, open_ in s.sessions if c.accepted])
        vanished = [key for _, s in settled for key in s.vanished]
        if vanished:
            self._conn.execute("DELETE FROM weir.session_rows WHERE session_key = ANY(%s)", (vanished,))
        self._unnest(_LATE, [(key, *counted.counts) for _, s in settled for key, counted in s.late])
        done = [number for _, s in settled for number in s.done]
        if done:
            self._conn.execute("DELETE FROM weir.derived_queue WHERE id = ANY(%s)", (done,))
        self._unnest(_KEEP, [
            (scope, wall(s.scope.frontier_us), msgspec.msgpack.encode(s.scope)) for scope, s in sorted(
                settled, key=lambda pair: pair[0])])

    def _unnest(self, query: bytes, rows: Sequence[Sequence[object]]) -> None:
        if rows:
            self._conn.execute(query, arrays.columns(query, rows))


def _cut_us(queued: dict[bytes, list[tuple[Queued, datetime]]]) -> int:
    """Up to where the queue was read, when it was not read to its end: what came together is settled together.

    Else the rest of that moment would come late next time, and all that came before it be derived again.
    """
    times = [q.at_us for rows in queued.values() for q, _ in rows]
    if len(times) < _ROWS_A_RUN or min(times) // BURST_US == max(times) // BURST_US:
        return _ALL
    return max(times)


def forget_scopes(conn: psycopg.Connection) -> None:
    """Scopes in which nothing has happened for long."""
    conn.execute("DELETE FROM weir.derived_scopes WHERE updated_at < now() - %s", (_FORGET_SCOPES,))


def _session_row(c: Conversation, provisional: bool) -> tuple[object, ...]:
    server_name, server_version = c.said("server") or (None, None)
    return (c.key, c.source, confidence(c.source, c.evidence), c.evidence, provisional, wall(c.started_us),
            wall(c.last_us), *(getattr(c.who, name) for name in _WHO),
            c.said("capabilities"), c.said("principal"), server_name, server_version, *c.counts)


def _said(
    capabilities: str | None, principal: str | None, server_name: str | None, server_version: str | None
) -> Said | None:
    server = (server_name, server_version) if server_name or server_version else None
    return Said(capabilities, principal, server) if capabilities or principal or server else None


def _us(at: datetime) -> int:
    return round(at.timestamp() * 1e6)


_NOTHING: tuple[uuid.UUID | None, Said | None] = (None, None)
_SHOWN = (  # what no column of a row keeps is taken over from the session it was in
    b"SELECT d.request_key, d.session_key, s.client_capabilities::text, s.principal, s.server_name, s.server_version"
    b" FROM weir.derived_requests d LEFT JOIN weir.session_rows s USING (session_key)"
    b" WHERE d.request_key = ANY(%s) AND d.started_at >= %s"
)
_KNOWN = (
    b"SELECT d.request_key, d.session_key FROM weir.derived_requests d JOIN unnest(%s::uuid[], %s::timestamptz[])"
    b" AS w (request_key, started_at) USING (request_key, started_at)"
)
# LOCK takes no snapshot: what is read afterwards is as it is once nobody is being forgotten, and until we commit nobody
# is. It is the lock that writing the scopes takes anyway.
_BEFORE_LOOKING = "LOCK TABLE weir.derived_scopes IN ROW EXCLUSIVE MODE NOWAIT"
_MAP = (
    b"INSERT INTO weir.derived_requests AS d (request_key, started_at, session_key)"
    b" SELECT * FROM unnest(%s::uuid[], %s::timestamptz[], %s::uuid[]) ON CONFLICT (request_key, started_at)"
    b" DO UPDATE SET session_key = excluded.session_key WHERE d.session_key <> excluded.session_key"
)
_SAY = (
    f"INSERT INTO weir.session_rows ({', '.join(_SESSION)}) SELECT * FROM unnest("
    + ", ".join(f"%s::{_TYPES.get(name, 'text')}[]" for name in _SESSION)
    + ") ON CONFLICT (session_key) DO UPDATE SET "
    + ", ".join(f"{name} = excluded.{name}" for name in _SESSION if name != "session_key")
).encode()
_LATE = (
    f"UPDATE weir.session_rows s SET {', '.join(f'{name} = s.{name} + l.{name}' for name in COUNTED)} FROM ("
    f"SELECT key, {', '.join(f'sum({name})::bigint AS {name}' for name in COUNTED)} FROM unnest(%s::uuid[], "
    + ", ".join(["%s::bigint[]"] * len(COUNTED))
    + f") AS u (key, {', '.join(COUNTED)}) GROUP BY key) l WHERE s.session_key = l.key"
).encode()
_KEEP = (
    b"INSERT INTO weir.derived_scopes (scope, frontier, state) SELECT * FROM unnest(%s::bytea[], %s::timestamptz[],"
    b" %s::bytea[]) ON CONFLICT (scope) DO UPDATE SET frontier = excluded.frontier, state = excluded.state,"
    b" updated_at = now()"
)
