"""Postgres, the one sink that acknowledges: rows, sessions and spool position in one transaction."""

import dataclasses
import json
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
import psycopg

from mcp_weir.attribution.joins import ExchangeId
from mcp_weir.attribution.sessions import SessionDelta
from mcp_weir.attribution.state import ExchangeState
from mcp_weir.attribution.verdicts import COLUMNS, Row

POISON_CLASSES = frozenset({"21", "22", "23", "54"})  # only these blame a row; all else is retried or stops the drain
_SESSION_COLUMNS = tuple(field.name for field in dataclasses.fields(SessionDelta))
_COUNTED = ("request_count", "tool_call_count", "error_count", "request_bytes", "response_bytes", "tokens_in",
            "tokens_out")
_EARLIEST = ("client_name", "client_version", "client_label", "client_capabilities")
_FIRST_KNOWN = ("session_id", "user_agent", "protocol_version", "server_name", "server_version", "principal",
                "principal_key", "remote_addr")


class LedgerMoved(Exception):
    """Another recorder advanced this segment: nothing was written."""


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


@dataclasses.dataclass(frozen=True, slots=True)
class CatalogRow:
    """One tool as it was listed."""

    service: str
    content_hash: bytes
    tool: str
    description: str | None
    schema_hash: bytes
    tokens: int
    seen_at: datetime


@dataclasses.dataclass(frozen=True, slots=True)
class CoverageRow:
    """A minute of one worker's life: `seen`, `spooled` and `dropped` are totals, `stored` is added."""

    stream: uuid.UUID
    minute: datetime
    service: str
    instance: str
    seen: int | None
    spooled: int | None
    dropped: dict[str, int] | None
    stored: int
    quarantined: int


@dataclasses.dataclass(slots=True)
class Batch:
    """Everything one transaction writes."""

    advances: list[Advance] = dataclasses.field(default_factory=list)
    rows: list[Row] = dataclasses.field(default_factory=list)
    derived: list[tuple[uuid.UUID, uuid.UUID]] = dataclasses.field(default_factory=list)
    sessions: dict[uuid.UUID, SessionDelta] = dataclasses.field(default_factory=dict)
    ends: list[tuple[uuid.UUID, datetime, str]] = dataclasses.field(default_factory=list)
    open: dict[ExchangeId, ExchangeState] = dataclasses.field(default_factory=dict)
    pending: list[tuple[Row, int]] = dataclasses.field(default_factory=list)
    gone: set[ExchangeId] = dataclasses.field(default_factory=set)
    streams: dict[uuid.UUID, StreamRow] = dataclasses.field(default_factory=dict)
    catalog: dict[tuple[str, bytes], CatalogRow] = dataclasses.field(default_factory=dict)
    coverage: list[CoverageRow] = dataclasses.field(default_factory=list)
    quarantine: list[tuple[str, str, bytes, str]] = dataclasses.field(default_factory=list)


class PostgresSink:
    """Writes batches over one connection of its own. Not thread-safe."""

    def __init__(self) -> None:
        self._partitions: set[Any] = set()

    def write(self, conn: psycopg.Connection, batch: Batch) -> int:
        """Commit the batch; returns rows stored. Poison rows are quarantined one by one, neighbours are kept.

        Raises LedgerMoved, or psycopg.Error when nothing was committed.
        """
        try:
            with conn.transaction():
                self._position(conn, batch.advances)
                self._ensure_partitions(conn, batch.rows)
                _copy_rows(conn, batch.rows)
                self._rest(conn, batch)
            return len(batch.rows)
        except psycopg.Error as error:
            if not _blames_a_row(error):
                raise
        return self._write_carefully(conn, batch)

    def _write_carefully(self, conn: psycopg.Connection, batch: Batch) -> int:
        with conn.transaction():
            self._position(conn, batch.advances)
            good = self._bisect(conn, batch.rows, batch)
            self._rest(conn, batch)
        return good

    def _bisect(self, conn: psycopg.Connection, rows: list[Row], batch: Batch) -> int:
        if not rows:
            return 0
        try:
            with conn.transaction():  # a savepoint
                self._ensure_partitions(conn, rows)
                _copy_rows(conn, rows)
            return len(rows)
        except psycopg.Error as error:
            if not _blames_a_row(error):
                raise
            if len(rows) == 1:
                raw = msgspec.json.encode(dataclasses.asdict(rows[0]))
                batch.quarantine.append((rows[0].service, rows[0].instance, raw, str(error.sqlstate)))
                return 0
        half = len(rows) // 2
        return self._bisect(conn, rows[:half], batch) + self._bisect(conn, rows[half:], batch)

    def _position(self, conn: psycopg.Connection, advances: list[Advance]) -> None:
        for step in advances:
            conn.execute(
                "INSERT INTO weir.segments (segment, stream, offset_bytes) VALUES (%s, %s, 0) ON CONFLICT DO NOTHING",
                (step.segment, step.stream),
            )
            moved = conn.execute(
                "UPDATE weir.segments SET offset_bytes = %s, done = %s, updated_at = now()"
                " WHERE segment = %s AND offset_bytes = %s AND NOT done",
                (step.new, step.done, step.segment, step.old),
            )
            if moved.rowcount != 1:
                raise LedgerMoved(str(step.segment))

    def _ensure_partitions(self, conn: psycopg.Connection, rows: list[Row]) -> None:
        for day in {row.started_at.date() for row in rows} - self._partitions:
            conn.execute("SELECT weir.ensure_partition(%s)", (day,))
            self._partitions.add(day)

    def _rest(self, conn: psycopg.Connection, batch: Batch) -> None:
        with conn.cursor() as cur:
            if batch.derived:
                cur.executemany(
                    "INSERT INTO weir.derived_requests (request_key, session_key) VALUES (%s, %s)"
                    " ON CONFLICT DO NOTHING",
                    batch.derived,
                )
            for key in sorted(batch.sessions):
                cur.execute(_SESSION_UPSERT, _session_values(batch.sessions[key]))
            for session, at, reason in batch.ends:
                cur.execute(_SESSION_END, (at, reason, session))
            _write_pending(cur, batch)
            _write_streams(cur, batch.streams.values())
            _write_catalog(cur, batch.catalog.values())
            _write_coverage(cur, batch.coverage)
            if batch.quarantine:
                cur.executemany(
                    "INSERT INTO weir.quarantine_rows (service, instance, raw, reason) VALUES (%s, %s, %s, %s)",
                    batch.quarantine,
                )


def _blames_a_row(error: psycopg.Error) -> bool:
    """By SQLSTATE class; psycopg's own adapters refuse a NUL with a DataError that carries none."""
    if error.sqlstate is None:
        return isinstance(error, psycopg.DataError)
    return error.sqlstate[:2] in POISON_CLASSES


def load_open(conn: psycopg.Connection, streams: Iterable[uuid.UUID]) -> list[ExchangeState]:
    """The exchanges of these streams that earlier batches left unresolved."""
    found = conn.execute("SELECT state FROM weir.open_exchanges WHERE stream = ANY(%s)", (list(streams),))
    return [msgspec.msgpack.decode(state, type=ExchangeState) for (state,) in found.fetchall()]


def load_offsets(conn: psycopg.Connection, segments: Iterable[uuid.UUID]) -> dict[uuid.UUID, tuple[int, bool]]:
    """segment -> (offset, done) for those that the ledger knows."""
    found = conn.execute(
        "SELECT segment, offset_bytes, done FROM weir.segments WHERE segment = ANY(%s)", (list(segments),)
    )
    return {segment: (offset, done) for segment, offset, done in found.fetchall()}


def load_derived(
    conn: psycopg.Connection, idle_window: timedelta
) -> dict[tuple[str, ...], tuple[uuid.UUID, datetime]]:
    """Derived sessions that may still go on, by the scope that DerivedSessions keys them with."""
    found = conn.execute(
        "SELECT service, principal_key, host(remote_addr), client_name, client_version, user_agent, session_key,"
        " last_seen_at FROM weir.session_rows WHERE source IN ('principal', 'client') AND last_seen_at > now() - %s"
        " ORDER BY last_seen_at",
        (idle_window,),
    )
    return {
        (service, principal.hex() if principal else addr or "", name or "", version or "", agent or ""): (key, seen)
        for service, principal, addr, name, version, agent, key, seen in found.fetchall()
    }


def _copy_rows(conn: psycopg.Connection, rows: list[Row]) -> None:
    if not rows:
        return
    with conn.cursor() as cur, cur.copy(f"COPY weir.request_rows ({', '.join(COLUMNS)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([getattr(row, name) for name in COLUMNS])


def _write_pending(cur: psycopg.Cursor[Any], batch: Batch) -> None:
    touched = list(batch.gone | batch.open.keys())
    if not touched:
        return
    cur.executemany("DELETE FROM weir.pending_requests WHERE stream = %s AND exchange = %s", touched)
    cur.executemany("DELETE FROM weir.open_exchanges WHERE stream = %s AND exchange = %s", list(batch.gone) or [])
    if batch.open:
        cur.executemany(
            "INSERT INTO weir.open_exchanges (stream, exchange, state) VALUES (%s, %s, %s)"
            " ON CONFLICT (stream, exchange) DO UPDATE SET state = excluded.state",
            [(stream, number, msgspec.msgpack.encode(state)) for (stream, number), state in batch.open.items()],
        )
    columns = (*COLUMNS, "exchange", "waiting")
    slots = ", ".join(["%s"] * len(columns))
    cur.executemany(
        f"INSERT INTO weir.pending_requests ({', '.join(columns)}) VALUES ({slots}) ON CONFLICT DO NOTHING",
        [(*(getattr(row, name) for name in COLUMNS), number, False) for row, number in batch.pending],
    )


def _write_streams(cur: psycopg.Cursor[Any], rows: Iterable[StreamRow]) -> None:
    cur.executemany(
        "INSERT INTO weir.stream_rows (stream_key, service, instance, session_key, kind, opened_at, closed_at,"
        " closed_by, events, bytes) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        " ON CONFLICT (stream_key) DO UPDATE SET closed_at = excluded.closed_at, closed_by = excluded.closed_by,"
        " events = excluded.events, bytes = excluded.bytes",
        [dataclasses.astuple(row) for row in rows],
    )


def _write_catalog(cur: psycopg.Cursor[Any], rows: Iterable[CatalogRow]) -> None:
    cur.executemany(
        "INSERT INTO weir.catalog_rows AS c (service, content_hash, tool, description, schema_hash, tokens,"
        " first_seen, last_seen, times_listed) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 1)"
        " ON CONFLICT (service, content_hash) DO UPDATE SET first_seen = least(c.first_seen, excluded.first_seen),"
        " last_seen = greatest(c.last_seen, excluded.last_seen), times_listed = c.times_listed + 1",
        [(r.service, r.content_hash, r.tool, r.description, r.schema_hash, r.tokens, r.seen_at, r.seen_at)
         for r in sorted(rows, key=lambda r: (r.service, r.content_hash))],
    )


def _write_coverage(cur: psycopg.Cursor[Any], rows: list[CoverageRow]) -> None:
    cur.executemany(
        "INSERT INTO weir.coverage_rows AS c (stream, minute, service, instance, seen, spooled, dropped, stored,"
        " quarantined) VALUES (%s, %s, %s, %s, coalesce(%s, 0), coalesce(%s, 0), coalesce(%s::jsonb, '{}'), %s, %s)"
        " ON CONFLICT (stream, minute) DO UPDATE SET seen = greatest(c.seen, excluded.seen),"
        " spooled = greatest(c.spooled, excluded.spooled),"
        " dropped = CASE WHEN excluded.seen > 0 THEN excluded.dropped ELSE c.dropped END,"
        " stored = c.stored + excluded.stored, quarantined = c.quarantined + excluded.quarantined",
        [(r.stream, r.minute, r.service, r.instance, r.seen, r.spooled,
          None if r.dropped is None else json.dumps(r.dropped), r.stored, r.quarantined) for r in rows],
    )


def _session_values(delta: SessionDelta) -> list[object]:
    return [getattr(delta, name) for name in _SESSION_COLUMNS]


def _merge_rule(column: str) -> str:
    if column in _COUNTED:
        return f"{column} = s.{column} + excluded.{column}"
    if column in _EARLIEST:
        return (f"{column} = CASE WHEN s.identity_at IS NULL OR excluded.identity_at < s.identity_at"
                f" THEN coalesce(excluded.{column}, s.{column}) ELSE s.{column} END")
    if column in _FIRST_KNOWN:
        return f"{column} = coalesce(s.{column}, excluded.{column})"
    rule = {
        "started_at": "least(s.started_at, excluded.started_at)",
        "last_seen_at": "greatest(s.last_seen_at, excluded.last_seen_at)",
        "identity_at": "least(s.identity_at, excluded.identity_at)",
        "era": "CASE WHEN s.era = 'unknown' THEN excluded.era ELSE s.era END",
    }.get(column, f"s.{column}")
    return f"{column} = {rule}"


_SESSION_UPSERT = (
    f"INSERT INTO weir.session_rows AS s ({', '.join(_SESSION_COLUMNS)})"
    f" VALUES ({', '.join(['%s'] * len(_SESSION_COLUMNS))}) ON CONFLICT (session_key) DO UPDATE SET "
    + ", ".join(_merge_rule(column) for column in _SESSION_COLUMNS if column != "session_key")
)
_SESSION_END = (
    "UPDATE weir.session_rows SET ended_at = coalesce(ended_at, %s), end_reason = coalesce(end_reason, %s)"
    " WHERE session_key = %s"
)
