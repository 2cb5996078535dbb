"""Erasing one principal's or session's rows: in the tables, in what is pending, and in what is still spooled.

A tombstone stays behind: whatever was opened before it and comes out of a spool later makes no row.
"""

import base64
import dataclasses
import uuid
from collections.abc import Iterable

import msgspec
import psycopg

from mcp_weir.attribution.conversations import Scope
from mcp_weir.attribution.evidence import principals_scope
from mcp_weir.attribution.state import ExchangeState
from mcp_weir.store.queries import sql


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """Whom to forget: sessions and principals by their keys, which is all that rests of them."""

    sessions: frozenset[uuid.UUID] = frozenset()
    principals: frozenset[bytes] = frozenset()


def forget(conn: psycopg.Connection, subject: Subject) -> dict[str, int]:
    """Erase in one transaction; recorders wait for it. Returns rows erased by table; aggregates stay.

    A settler that has begun is waited for, and none begins meanwhile: what it read before the erasure it would write
    down after it. Locks are taken in one order by everybody: `weir.erase`, derived_scopes, rows.
    """
    with conn.transaction():
        conn.execute("SET LOCAL statement_timeout = 0")
        conn.execute("SET LOCAL lock_timeout = '60s'")
        conn.execute("SELECT pg_advisory_xact_lock(hashtext('weir.erase'))")
        conn.execute("LOCK TABLE weir.derived_scopes IN SHARE ROW EXCLUSIVE MODE")
        sessions, principals = list(subject.sessions), list(subject.principals)
        tombstones = [(key, None) for key in sessions] + [(None, key) for key in principals]
        with conn.cursor() as cur:
            cur.executemany("INSERT INTO weir.tombstones (session_key, principal_key) VALUES (%s, %s)", tombstones)
        erased = {"open_exchanges": _scrub_open(conn, subject)}
        words = [word.encode() for word in _spellings(subject)]
        values = {"sessions": sessions, "principals": principals, "words": words,
                  "scopes": _scopes(conn, principals)}
        erased |= dict(conn.execute(sql("forget"), values).fetchall())
        _leave_conversations(conn, subject.sessions)
    return erased


def _scrub_open(conn: psycopg.Connection, subject: Subject) -> int:
    """What is still running keeps its place, to be ended and counted, and loses everything that it says."""
    scrubbed = []
    for stream, exchange, packed in conn.execute("SELECT stream, exchange, state FROM weir.open_exchanges").fetchall():
        state = msgspec.msgpack.decode(packed, type=ExchangeState)
        if state.session in subject.sessions or state.opened.principal_key in subject.principals:
            state.scrub()
            scrubbed.append((msgspec.msgpack.encode(state), stream, exchange))
    with conn.cursor() as cur:
        cur.executemany(
            "UPDATE weir.open_exchanges SET state = %s, session_key = NULL, event_ids = '{}'"
            " WHERE stream = %s AND exchange = %s", scrubbed)
    return len(scrubbed)


def _scopes(conn: psycopg.Connection, principals: list[bytes]) -> list[bytes]:
    found = conn.execute("SELECT service FROM weir.session_rows UNION SELECT service FROM weir.coverage_rows")
    return [principals_scope(service, key) for (service,) in found.fetchall() for key in principals]


def _leave_conversations(conn: psycopg.Connection, sessions: frozenset[uuid.UUID]) -> None:
    """Take derived sessions out of their scopes; their neighbours there go on as they were."""
    words = [str(key).encode() for key in sessions]  # as msgspec writes a UUID
    found = conn.execute(
        "SELECT scope, state FROM weir.derived_scopes s WHERE EXISTS"
        " (SELECT 1 FROM unnest(%s::bytea[]) AS w (word) WHERE position(word IN s.state) > 0)", (words,)).fetchall()
    for name, packed in found:
        scope = msgspec.msgpack.decode(packed, type=Scope)
        scope.conversations = [c for c in scope.conversations if c.key not in sessions]
        scope.shown = [key for key in scope.shown if key not in sessions]
        conn.execute("UPDATE weir.derived_scopes SET state = %s WHERE scope = %s",
                     (msgspec.msgpack.encode(scope), name))


def _spellings(subject: Subject) -> Iterable[str]:
    """How the keys are written in what is quarantined."""
    for session in subject.sessions:
        yield str(session)
    for principal in subject.principals:
        yield principal.hex()
        yield base64.b64encode(principal).decode()
