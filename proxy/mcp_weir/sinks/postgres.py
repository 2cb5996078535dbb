"""Postgres, the one sink that acknowledges: rows, sessions, rollups and spool position in one transaction."""

import dataclasses
import json
import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from operator import attrgetter
from typing import Any

import msgspec
import psycopg

from mcp_weir.attribution.sessions import SessionDelta, SessionEnd
from mcp_weir.attribution.state import ExchangeId, ExchangeState
from mcp_weir.attribution.verdicts import COLUMNS, Row
from mcp_weir.sinks import arrays, packing, poison, sessions, settler, waiting
from mcp_weir.sinks.batch import Advance, Batch, Packed, Quarantined, Touch
from mcp_weir.sinks.copying import Columns, More, column_types, latency_bucket
from mcp_weir.store.queries import sql

_touch = attrgetter(*(field.name for field in dataclasses.fields(Touch)))
_LATENCY: More = {"latency_bucket": ("int2", lambda row: latency_bucket(row.duration_ms))}
Write = Callable[[list[Any]], None]


class LedgerMoved(Exception):
    """Another recorder advanced this segment: nothing was written."""


class TombstonesMoved(Exception):
    """Somebody asked to be forgotten meanwhile: nothing was written, read the tombstones again."""


class SessionGone(Exception):
    """A session that stood is there no more (retention took it): nothing was written, read again to write it whole."""


class Poisoned(Exception):
    """The data itself was refused: nothing was written. find_poison() says which of it."""


class PostgresSink:
    """Writes batches over one connection of its own. Not thread-safe; made anew with each connection."""

    def __init__(self, conn: psycopg.Connection, *, keep_rows: bool = False) -> None:
        self.keep_rows = keep_rows  # other sinks want to see each
        self.recorder = uuid.uuid4()  # who holds in memory what this sink leaves open
        self.tombstone = 0  # the newest one that the caller knows
        self._conn = conn
        self._partitions: set[date] = set()
        types = column_types(conn, "weir.request_rows")
        self._rows, self.packer = Columns(COLUMNS, types), packing.RowPacker(types)
        self._pending = Columns(COLUMNS, column_types(conn, "weir.pending_requests"))
        self._upsert_sessions = sessions.upsert(column_types(conn, "weir.session_rows"))

    def write(self, batch: Batch) -> None:
        """Commit the batch.

        Raises LedgerMoved, TombstonesMoved, SessionGone, Poisoned, or psycopg.Error; then nothing was written.
        A connection cut between COMMIT and its answer raises too: what the ledger says afterwards is what counts.
        """
        try:
            with self._conn.transaction():
                self._lock()
                self._advance(batch.advances)
                self._lock_sessions(batch)
                for items, write in self._parts(batch):
                    if items:
                        write(items)
                self._coverage(batch)
                waiting.write(self._conn, self.recorder, batch.waits)
        except Exception as error:
            if poison.blames_a_row(error):
                self._partitions.clear()
                raise Poisoned from error
            raise

    def find_poison(self, batch: Batch) -> list[tuple[object, str]]:
        """What of the batch Postgres refuses, each with a reason. Writes nothing: its transaction is rolled back."""
        found: list[tuple[object, str]] = []
        with self._conn.transaction(force_rollback=True):
            for items, write in self._parts(batch):
                found += poison.bisect(self._conn, items, write)
        self._partitions.clear()
        return found

    def _lock(self) -> None:
        """Shared, against forgetting and pruning: they take it alone."""
        self._conn.execute("SELECT pg_advisory_xact_lock_shared(hashtext('weir.erase'))")
        found = self._conn.execute("SELECT coalesce(max(id), 0) FROM weir.tombstones").fetchone()
        if found is not None and found[0] != self.tombstone:
            raise TombstonesMoved

    def _advance(self, advances: list[Advance]) -> None:
        for step in advances:
            if self._conn.execute(sql("advance"), dataclasses.asdict(step)).rowcount != 1:
                raise LedgerMoved(str(step.segment))

    def _parts(self, batch: Batch) -> list[tuple[list[Any], Write]]:
        """What can be refused: items, and how to write any number of them. In an order that locks in key order."""
        ended = {end.session_key for end in batch.ends}
        return [
            (batch.packed.rows, lambda rows: self._copy_packed(rows, batch.packed)),
            (batch.rows, self._copy_rows),
            (list(batch.sessions.values()), self._session_rows),
            (list(batch.touched.values()), self._touch),
            (list(batch.refused.values()), lambda deltas: self._unnest("add_refused", map(_refused, deltas))),
            (_first_ends(batch.ends), self._note_ends),
            (sorted(batch.sessions.keys() | batch.touched.keys() | ended), self._apply_ends),
            (batch.packed.queue, self._queue_packed),
            (batch.queue, lambda rows: settler.enqueue(self._conn, rows)),
            (list((batch.gone | set(batch.open)) - batch.fresh), self._clear_pending),
            (list(batch.open.items()), self._open),
            (batch.pending, self._copy_pending),
            (list(batch.streams.values()), lambda rows: self._unnest("add_streams", map(dataclasses.astuple, rows))),
            (list(batch.catalog.values()), lambda rows: self._unnest("add_catalog", map(dataclasses.astuple, rows))),
            (_sums(batch.rollups.facets), lambda sums: self._rollups("add_facet", sums)),
            (_sums(batch.rollups.latencies), lambda sums: self._rollups("add_latency", sums)),
            (_sums(batch.rollups.wide), lambda sums: self._rollups("add_rollup", sums)),
            (_sums(batch.rollups.total), lambda sums: self._rollups("add_total", sums)),
            (batch.rollups.failed, lambda rows: self._unnest("add_errors", rows)),
        ]

    def _copy_packed(self, rows: list[bytes], packed: Packed) -> None:
        self._partition({at.date() for at in packed.minutes()})
        with self._conn.cursor() as cur:
            packing.copy(cur, "weir.request_rows", self.packer.NAMES, rows)

    def _queue_packed(self, rows: list[bytes]) -> None:
        with self._conn.cursor() as cur:
            packing.copy(cur, "weir.derived_queue", packing.QUEUED, rows)

    def _partition(self, days: set[date]) -> None:
        for day in days - self._partitions:
            self._conn.execute("SELECT weir.ensure_partition(%s)", (day,))
            self._partitions.add(day)

    def _copy_rows(self, rows: list[Row]) -> None:
        self._partition({row.started_at.date() for row in rows})
        with self._conn.cursor() as cur:
            self._rows.copy(cur, "weir.request_rows", rows, _LATENCY)

    def _session_rows(self, deltas: list[Any]) -> None:
        self._conn.execute(self._upsert_sessions, arrays.columns(self._upsert_sessions, map(sessions.values, deltas)))

    def _lock_sessions(self, batch: Batch) -> None:
        """All that stand, in key order: written by two statements, they would be locked in another."""
        if batch.touched:
            query = sql("lock_sessions")
            keys = sorted(batch.sessions.keys() | batch.touched.keys())
            self._conn.execute(query, arrays.columns(query, [(key,) for key in keys]))

    def _touch(self, touches: list[Any]) -> None:
        query = sql("touch_sessions")
        done = self._conn.execute(query, arrays.columns(query, map(_touch, touches)))
        if done.rowcount != len(touches):
            raise SessionGone

    def _note_ends(self, ends: list[Any]) -> None:
        self._unnest("note_ends", map(dataclasses.astuple, ends))

    def _apply_ends(self, keys: list[uuid.UUID]) -> None:
        self._conn.execute(sql("apply_ends"), (arrays.array("uuid", keys),))

    def _clear_pending(self, idents: list[ExchangeId]) -> None:
        for table in ("pending_requests", "open_exchanges"):
            query = (f"DELETE FROM weir.{table} t USING unnest(%s::uuid[], %s::bigint[]) AS f (stream, exchange)"
                     " WHERE t.stream = f.stream AND t.exchange = f.exchange").encode()
            self._conn.execute(query, arrays.columns(query, idents))

    def _open(self, states: list[tuple[ExchangeId, ExchangeState]]) -> None:
        rows = [
            (stream, number, self.recorder, state.origin.service, state.session, msgspec.msgpack.encode(state))
            for (stream, number), state in states
        ]
        self._unnest_into(
            "weir.open_exchanges (stream, exchange, recorder, service, session_key, state)",
            ("uuid", "bigint", "uuid", "text", "uuid", "bytea"), rows,
        )
        for (stream, number), state in states:  # few: streams that may be resumed
            if state.resumable and state.session is not None:
                self._conn.execute(
                    "UPDATE weir.open_exchanges SET event_ids = %s WHERE stream = %s AND exchange = %s",
                    (state.event_ids, stream, number),
                )

    def _copy_pending(self, pending: list[tuple[Row, int]]) -> None:
        numbers = iter([number for _, number in pending])
        with self._conn.cursor() as cur:
            more: More = {"exchange": ("int8", lambda _: next(numbers))}
            self._pending.copy(cur, "weir.pending_requests", [row for row, _ in pending], more)

    def _rollups(self, query: str, sums: list[tuple[str, tuple[Any, ...], list[int]]]) -> None:
        for grain in ("minute", "hour", "day"):
            rows = [(*key, *counts) for at, key, counts in sums if at == grain]
            if rows:
                self._unnest(query, rows, grain)

    def _coverage(self, batch: Batch) -> None:
        self._unnest("add_coverage", (
            (r.stream, r.minute, r.service, r.instance, r.seen, r.spooled,
             None if r.dropped is None else json.dumps(r.dropped), r.stored, r.quarantined)
            for r in batch.coverage.values()
        ))
        for stream in batch.buried:
            self._conn.execute("SELECT weir.bury(%s)", (stream,))
        self._unnest_into(
            "weir.quarantine_rows (service, instance, raw, reason)", ("text", "text", "bytea", "text"),
            [dataclasses.astuple(row) for row in batch.quarantine],
        )

    def _unnest(self, query: str, rows: Iterable[Sequence[object]], grain: str = "") -> None:
        text = sql(query, grain)
        columns = arrays.columns(text, rows)
        if columns:
            self._conn.execute(text, columns)

    def _unnest_into(self, table: str, types: Sequence[str], rows: list[Any]) -> None:
        if rows:
            casts = ", ".join(f"%s::{kind}[]" for kind in types)
            query = f"INSERT INTO {table} SELECT * FROM unnest({casts}) ORDER BY 1 ON CONFLICT DO NOTHING".encode()
            self._conn.execute(query, arrays.columns(query, rows))


def quarantined(item: object, reason: str) -> Quarantined | None:
    """What goes to quarantine for a refused part of a batch; None for what is derived from rows alone."""
    value = item[0] if isinstance(item, tuple) and isinstance(item[0], Row) else item
    if not dataclasses.is_dataclass(value) or isinstance(value, type):
        return None
    service, instance = getattr(value, "service", ""), getattr(value, "instance", "")
    raw = json.dumps(dataclasses.asdict(value), default=_jsonable).encode()
    return Quarantined(service, instance, raw, reason)


def _first_ends(ends: list[SessionEnd]) -> list[SessionEnd]:
    """One for each (session, reason): the first; the last of those that are void when it goes on and is ended anew."""
    ordered = sorted(ends, key=lambda end: end.at, reverse=True)
    first = {(end.session_key, end.reason): end for end in ordered if end.reason not in ("lost", "client_delete")}
    last = {(end.session_key, end.reason): end for end in reversed(ordered) if end.reason in ("lost", "client_delete")}
    return [*first.values(), *last.values()]


def _jsonable(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _sums(by_grain: dict[str, Any]) -> list[tuple[str, tuple[Any, ...], list[int]]]:
    return [(grain, key, counts) for grain, sums in by_grain.items() for key, counts in sums.items()]


def _refused(delta: SessionDelta) -> tuple[object, ...]:
    return (delta.session_key, delta.request_count, delta.tool_call_count, delta.call_count, delta.error_count,
            delta.request_bytes, delta.response_bytes, delta.tokens_in, delta.tokens_out)


def load_offsets(conn: psycopg.Connection, segments: Iterable[uuid.UUID]) -> dict[uuid.UUID, tuple[int, bool]]:
    """segment -> (offset, done) for those that the ledger knows."""
    found = conn.execute(
        "SELECT segment, offset_bytes, done FROM weir.segments WHERE segment = ANY(%s)", (list(segments),)
    )
    return {segment: (offset, done) for segment, offset, done in found.fetchall()}
