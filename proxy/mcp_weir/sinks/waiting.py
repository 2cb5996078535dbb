"""What is unresolved, in Postgres: what recorders post for each other, the watermark, operations.

Each recorder holds its own exchanges in memory and alone writes their rows; the tables are how two recorders
meet. Everything is found by key; nothing here scans history.
"""

import dataclasses
import uuid
from collections.abc import Iterable
from datetime import timedelta
from operator import attrgetter
from typing import Any

import msgspec
import psycopg

from mcp_weir.attribution.fallbacks import Address, Hello
from mcp_weir.attribution.operations import HandedOut, TaskEnd
from mcp_weir.attribution.state import Elsewhere, ExchangeId, ExchangeState
from mcp_weir.attribution.verdicts import wall
from mcp_weir.store.queries import sql
from mcp_weir.traffic.facts import Identity

_GONE_S = 15  # a recorder silent for so long has left its waiting exchanges to others
_HANDED_OUT_DAYS = 1
_SKEW_US = {True: 2_000_000, False: 300_000}  # between hosts, and (for what is announced after 0.1 s) within one


@dataclasses.dataclass(slots=True)
class Waits:
    """The part of a batch by which recorders meet."""

    posted: list[Elsewhere] = dataclasses.field(default_factory=list)
    received: list[Elsewhere] = dataclasses.field(default_factory=list)
    handed: list[HandedOut] = dataclasses.field(default_factory=list)
    claims: list[HandedOut] = dataclasses.field(default_factory=list)
    tasks: list[TaskEnd] = dataclasses.field(default_factory=list)
    marks: dict[uuid.UUID, "Mark"] = dataclasses.field(default_factory=dict)
    alive: bool = False  # say that this recorder is there


@dataclasses.dataclass(frozen=True, slots=True)
class Mark:
    """How far a stream has been read: Unix microseconds of its last heartbeat."""

    service: str
    boot: str
    read_to_us: int
    done: bool


class Taken(Exception):
    """Another recorder took what this batch was about to use: nothing was written, read again."""


def write(conn: psycopg.Connection, recorder: uuid.UUID, waits: Waits) -> None:
    """Write it, within the batch's transaction. Raises Taken."""
    with conn.cursor() as cur:
        _write(cur, recorder, waits)


def _write(cur: psycopg.Cursor[Any], recorder: uuid.UUID, waits: Waits) -> None:
    for heard in waits.received:
        cur.execute("DELETE FROM weir.elsewhere WHERE stream = %s AND exchange = %s AND seq = %s",
                    (heard.origin.stream, heard.exchange, heard.seq))
        if cur.rowcount != 1:
            raise Taken(str(heard.origin.stream))
    if waits.posted:
        cur.executemany(_POST, [
            (h.origin.stream, h.exchange, h.seq, h.origin.service, h.session, h.said.direction, h.said.jsonrpc_id,
             wall(h.wall_us), msgspec.msgpack.encode(h)) for h in waits.posted])
    if waits.handed:
        cur.executemany(
            "INSERT INTO weir.handed_out (request_key, hash, operation_key, at, claimed_by) VALUES (%s, %s, %s, %s, %s)"
            " ON CONFLICT DO NOTHING",
            [(h.request_key, h.hash, h.operation_key, wall(h.at_us), h.claimed_by) for h in waits.handed])
    if waits.claims:
        cur.executemany(
            "UPDATE weir.handed_out SET claimed_by = %s WHERE hash = %s AND request_key = %s AND claimed_by IS NULL",
            [(h.claimed_by, h.hash, h.request_key) for h in waits.claims])
    if waits.tasks:
        cur.executemany(_TASK_END, [
            (t.hash, wall(t.at_us), t.outcome, t.session, t.principal_key)
            for t in sorted(waits.tasks, key=_by_hash)])
    if waits.marks:
        cur.executemany(_MARK, [
            (stream, m.service, m.boot, wall(m.read_to_us), m.done) for stream, m in sorted(waits.marks.items())])
    if waits.alive:
        cur.execute("INSERT INTO weir.recorders (recorder) VALUES (%s) ON CONFLICT (recorder) DO UPDATE"
                    " SET seen_at = now()", (recorder,))


def watermark_us(conn: psycopg.Connection, silent: timedelta) -> int:
    """Wall time before which everything that opened is in this database or in the reader's hands.

    A stream that nobody has read from for `silent` is not waited for.
    """
    found = conn.execute(
        "SELECT extract(epoch FROM min(read_to)) * 1e6, count(DISTINCT boot) > 1, extract(epoch FROM now()) * 1e6"
        " FROM weir.stream_marks WHERE NOT done AND updated_at > now() - %s", (silent,)
    ).fetchone()
    assert found is not None
    lowest, several_hosts, now = found
    return int(now if lowest is None else lowest) - _SKEW_US[bool(several_hosts)]


def load_marks(conn: psycopg.Connection, streams: Iterable[uuid.UUID]) -> dict[uuid.UUID, int]:
    """How far these streams had been read: Unix microseconds of a heartbeat."""
    found = conn.execute("SELECT stream, (extract(epoch FROM read_to) * 1e6)::bigint FROM weir.stream_marks"
                         " WHERE stream = ANY(%s)", (list(streams),))
    return dict(found.fetchall())


def load_open(conn: psycopg.Connection, recorder: uuid.UUID, streams: Iterable[uuid.UUID]) -> list[ExchangeState]:
    """The exchanges of these streams that earlier batches left unresolved; they are this recorder's from now on."""
    found = conn.execute(
        "UPDATE weir.open_exchanges SET recorder = %s WHERE stream = ANY(%s) RETURNING state",
        (recorder, list(streams)))
    return _states(found.fetchall())


def leave(conn: psycopg.Connection, recorder: uuid.UUID | None) -> None:
    """This recorder is gone, for certain."""
    conn.execute("DELETE FROM weir.recorders WHERE recorder = %s", (recorder,))


def adopt(conn: psycopg.Connection, recorder: uuid.UUID) -> list[ExchangeState]:
    """Exchanges that wait though their stream is read to its end and their recorder is gone."""
    found = conn.execute(
        "UPDATE weir.open_exchanges o SET recorder = %s FROM weir.stream_marks m WHERE m.stream = o.stream AND m.done"
        " AND NOT EXISTS (SELECT 1 FROM weir.recorders r WHERE r.recorder = o.recorder AND r.seen_at > now() - %s)"
        " RETURNING o.state", (recorder, timedelta(seconds=_GONE_S)))
    return _states(found.fetchall())


def posted_for(conn: psycopg.Connection, recorder: uuid.UUID) -> list[Elsewhere]:
    """What others posted that may speak of a request which this recorder holds, earliest first."""
    found = conn.execute(
        "SELECT e.said FROM weir.elsewhere e WHERE EXISTS (SELECT 1 FROM weir.pending_requests p"
        " JOIN weir.open_exchanges o ON (o.stream, o.exchange) = (p.stream, p.exchange)"
        " WHERE p.session_key = e.session_key AND p.direction = e.direction AND p.jsonrpc_id = e.jsonrpc_id"
        " AND p.service = e.service AND o.recorder = %s) ORDER BY e.at, e.stream, e.exchange, e.seq LIMIT 1000",
        (recorder,))
    return [msgspec.msgpack.decode(said, type=Elsewhere) for (said,) in found.fetchall()]


def load_handed_out(conn: psycopg.Connection, hashes: list[bytes]) -> list[HandedOut]:
    """What was handed out under these hashes."""
    found = conn.execute(
        "SELECT request_key, hash, operation_key, (extract(epoch FROM at) * 1e6)::bigint, claimed_by"
        " FROM weir.handed_out WHERE hash = ANY(%s)", (hashes,)) if hashes else None
    return [HandedOut(*row) for row in found.fetchall()] if found else []


def continued(conn: psycopg.Connection, session: uuid.UUID, event_id: bytes) -> ExchangeId | None:
    """The exchange of this session on whose stream that event passed."""
    found = conn.execute(
        "SELECT stream, exchange FROM weir.open_exchanges WHERE session_key = %s AND event_ids @> ARRAY[%s]"
        " AND event_ids <> '{}' ORDER BY stream, exchange LIMIT 1", (session, event_id)).fetchone()
    return None if found is None else (found[0], found[1])


def greetings(conn: psycopg.Connection, since_us: int) -> list[tuple[Address, Hello]]:
    """Each `initialize` stored since then, by whomever: behind the watermark and a moment for writing, all of them."""
    found = conn.execute(
        "SELECT service, principal_key, host(remote_addr), user_agent, (extract(epoch FROM started_at) * 1e6)::bigint,"
        " client_name, client_version FROM weir.request_rows WHERE method = 'initialize' AND started_at >= %s"
        " ORDER BY started_at LIMIT 10000", (wall(since_us) - timedelta(seconds=2),))
    return [((service, principal, addr, agent), Hello(at_us, name, version))
            for service, principal, addr, agent, at_us, name, version in found.fetchall()]


def load_clients(conn: psycopg.Connection, keys: Iterable[uuid.UUID]) -> dict[uuid.UUID, Identity]:
    """Who the clients of these sessions are, where that is known."""
    found = conn.execute("SELECT session_key, client_name, client_version FROM weir.session_rows"
                         " WHERE session_key = ANY(%s) AND identity_at IS NOT NULL", (list(keys),))
    return {key: Identity(name=name, version=version) for key, name, version in found.fetchall()}


def ended_sessions(conn: psycopg.Connection, keys: list[uuid.UUID]) -> list[tuple[uuid.UUID, int, str | None]]:
    """(session, Unix microseconds of its end, who closed its stream) of those that have ended."""
    found = conn.execute(
        "SELECT session_key, (extract(epoch FROM max(at)) * 1e6)::bigint, min(closed_by)"
        "   FILTER (WHERE reason = 'transport_closed')"
        " FROM weir.session_ends WHERE session_key = ANY(%s) GROUP BY 1", (keys,)) if keys else None
    return [(key, at, closed_by) for key, at, closed_by in found.fetchall()] if found else []


def sweep(conn: psycopg.Connection, watermark: int) -> None:
    """Drop what nobody can need any more: behind the watermark every request that could be meant is here."""
    before = wall(watermark - 5_000_000)
    conn.execute(
        "DELETE FROM weir.elsewhere e WHERE at < %s AND NOT EXISTS (SELECT 1 FROM weir.pending_requests p WHERE"
        " p.session_key = e.session_key AND p.direction = e.direction AND p.jsonrpc_id = e.jsonrpc_id)", (before,))
    old = timedelta(days=_HANDED_OUT_DAYS)
    missed = conn.execute(  # an end and its session that two recorders wrote at the same moment
        "SELECT e.session_key FROM weir.session_ends e JOIN weir.session_rows s USING (session_key)"
        " WHERE s.ended_at IS NULL AND e.at >= %s", (before - timedelta(hours=1),)).fetchall()
    if missed:
        conn.execute(sql("apply_ends"), ([key for (key,) in missed],))
    conn.execute("UPDATE weir.task_ends t SET operation_key = h.operation_key FROM weir.handed_out h"
                 " WHERE h.hash = t.hash AND t.operation_key IS NULL")
    conn.execute("DELETE FROM weir.task_ends WHERE operation_key IS NULL AND at < %s", (wall(watermark) - old,))
    conn.execute("DELETE FROM weir.handed_out WHERE at < %s", (wall(watermark) - old,))
    conn.execute("DELETE FROM weir.session_ends WHERE at < %s", (wall(watermark) - old,))
    conn.execute("DELETE FROM weir.stream_marks m WHERE done AND updated_at < now() - %s AND NOT EXISTS"
                 " (SELECT 1 FROM weir.open_exchanges o WHERE o.stream = m.stream)", (old,))
    conn.execute("DELETE FROM weir.recorders WHERE seen_at < now() - %s", (old,))


def _states(rows: list[tuple[bytes]]) -> list[ExchangeState]:
    return [msgspec.msgpack.decode(state, type=ExchangeState) for (state,) in rows]


_by_hash = attrgetter("hash")
_TASK_END = (  # a task ends once; of two that say how, the first
    "INSERT INTO weir.task_ends AS t (hash, at, outcome, session_key, principal_key) VALUES (%s, %s, %s, %s, %s)"
    " ON CONFLICT (hash) DO UPDATE"
    " SET (at, outcome) = ROW (excluded.at, excluded.outcome) WHERE excluded.at < t.at"
)
_POST = (
    "INSERT INTO weir.elsewhere (stream, exchange, seq, service, session_key, direction, jsonrpc_id, at, said)"
    " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING"
)
_MARK = (  # updated_at stands still with read_to: a worker that is stopped must not hold the watermark for ever
    "INSERT INTO weir.stream_marks AS m (stream, service, boot, read_to, done) VALUES (%s, %s, %s, %s, %s)"
    " ON CONFLICT (stream) DO UPDATE SET read_to = excluded.read_to, done = excluded.done, updated_at ="
    " CASE WHEN excluded.read_to = m.read_to AND excluded.done = m.done THEN m.updated_at ELSE now() END"
)
