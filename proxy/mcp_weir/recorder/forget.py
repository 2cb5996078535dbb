"""Erasing one principal's or session's rows: in the tables, in what is pending, and in what is still spooled.

A tombstone stays behind: whatever was opened before it and comes out of a spool later makes no row.
"""

import base64
import dataclasses
import uuid
from collections.abc import Iterable
from datetime import datetime

import msgspec
import psycopg

from mcp_weir.attribution.state import ExchangeState
from mcp_weir.recorder.forgotten import scrub
from mcp_weir.store.queries import sql


@dataclasses.dataclass(frozen=True, slots=True)
class Subject:
    """Whom to forget: sessions and principals by their keys, which is all that rests of them."""

    sessions: frozenset[uuid.UUID] = frozenset()
    principals: frozenset[bytes] = frozenset()


def forget(conn: psycopg.Connection, subject: Subject) -> dict[str, int]:
    """Erase in one transaction; recorders wait for it. Returns rows erased by table; aggregates stay."""
    with conn.transaction():
        conn.execute("SET LOCAL statement_timeout = 0")
        conn.execute("SET LOCAL lock_timeout = '60s'")
        conn.execute("SELECT pg_advisory_xact_lock(hashtext('weir.erase'))")
        sessions, principals = list(subject.sessions), list(subject.principals)
        tombstones = [(key, None) for key in sessions] + [(None, key) for key in principals]
        with conn.cursor() as cur:
            cur.executemany("INSERT INTO weir.tombstones (session_key, principal_key) VALUES (%s, %s)", tombstones)
        at = conn.execute("SELECT clock_timestamp()").fetchone()
        assert at is not None
        erased = {"open_exchanges": _scrub_open(conn, subject, at[0])}
        words = [word.encode() for word in _spellings(subject)]
        raw = [*principals, *(key.bytes for key in sessions)]
        values = {"sessions": sessions, "principals": principals, "words": words, "raw": raw}
        erased |= dict(conn.execute(sql("forget"), values).fetchall())
    return erased


def _scrub_open(conn: psycopg.Connection, subject: Subject, before: datetime) -> int:
    """What is still running keeps its place, to be ended and counted, and loses everything that it says."""
    scrubbed = []
    for stream, exchange, packed in conn.execute("SELECT stream, exchange, state FROM weir.open_exchanges").fetchall():
        state = msgspec.msgpack.decode(packed, type=ExchangeState)
        if state.session in subject.sessions or state.opened.principal_key in subject.principals:
            scrub(state)
            scrubbed.append((msgspec.msgpack.encode(state), stream, exchange))
    with conn.cursor() as cur:
        cur.executemany(
            "UPDATE weir.open_exchanges SET state = %s, session_key = NULL, event_ids = '{}'"
            " WHERE stream = %s AND exchange = %s", scrubbed)
    return len(scrubbed)


def _spellings(subject: Subject) -> Iterable[str]:
    """How the keys are written in what is quarantined."""
    for session in subject.sessions:
        yield str(session)
    for principal in subject.principals:
        yield principal.hex()
        yield base64.b64encode(principal).decode()
