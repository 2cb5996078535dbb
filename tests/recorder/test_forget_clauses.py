"""Whose a row is can be known in many ways: for each clause of forget.sql there is a row that only it finds.

Who is kept has a row beside it in each table. Rows are as sparse as the tables allow: what is asked is who goes.
"""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from mcp_weir.attribution.evidence import principals_scope
from mcp_weir.recorder.forget import Subject, forget

ALICE, BOB = b"a" * 16, b"b" * 16
HERS, THEIRS, NAMED = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()  # by principal; other people's; itself, without a row
_keys = iter(uuid.uuid4, None)
FORGOTTEN = Subject(sessions=frozenset({NAMED}), principals=frozenset({ALICE}))


@pytest.fixture
def conn(database_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(database_url, autocommit=True) as connection:
        for key, who in ((HERS, ALICE), (THEIRS, BOB)):
            session(connection, key, who)
        yield connection


def session(conn: psycopg.Connection, key: uuid.UUID, who: bytes | None, previous: uuid.UUID | None = None) -> None:
    conn.execute("INSERT INTO weir.session_rows (session_key, service, instance, source, confidence, started_at,"
                 " last_seen_at, seen_by, principal_key, previous_session_key)"
                 " VALUES (%s, 's', 'i', 'header', 1, now(), now(), gen_random_uuid(), %s, %s)", (key, who, previous))


def request(
    conn: psycopg.Connection, table: str, session_key: uuid.UUID | None = None, who: bytes | None = None,
    operation: uuid.UUID | None = None,
) -> uuid.UUID:
    key = next(_keys)
    number = ", exchange" if table == "pending_requests" else ""
    conn.execute(f"INSERT INTO weir.{table} (request_key, session_key, principal_key, operation_key, started_at,"
                 f" service, instance, direction, outcome, stream{number}) VALUES (%s, %s, %s, %s, now(), 's', 'i',"
                 f" 'client', 'ok', gen_random_uuid(){', 1' if number else ''})".encode(),
                 (key, session_key, who, operation or key))
    return key


def derived(conn: psycopg.Connection, key: uuid.UUID, session_key: uuid.UUID) -> None:
    conn.execute("INSERT INTO weir.derived_requests VALUES (%s, now(), %s)", (key, session_key))


def left(conn: psycopg.Connection, table: str, column: str) -> set[Any]:
    return {value for (value,) in conn.execute(f"SELECT {column} FROM weir.{table}".encode()).fetchall()}


@pytest.mark.parametrize("table", ["request_rows", "pending_requests"])
def test_requests(conn: psycopg.Connection, table: str) -> None:
    kept = request(conn, table, THEIRS, BOB)
    request(conn, table, HERS)  # her session says nothing of her in its row
    request(conn, table, NAMED, BOB)
    request(conn, table, THEIRS, ALICE)
    if table == "request_rows":
        derived(conn, request(conn, table), HERS)
        derived(conn, request(conn, table), NAMED)
    forget(conn, FORGOTTEN)
    assert left(conn, table, "request_key") == {kept}
    assert left(conn, "derived_requests", "request_key") == set()


def test_what_is_derived(conn: psycopg.Connection) -> None:
    derived(conn, next(_keys), HERS)
    derived(conn, next(_keys), NAMED)
    kept = next(_keys)
    derived(conn, kept, THEIRS)
    forget(conn, FORGOTTEN)
    assert left(conn, "derived_requests", "request_key") == {kept}


def test_what_waits_to_be_derived_and_her_scope(conn: psycopg.Connection) -> None:
    mapped = next(_keys)
    derived(conn, mapped, HERS)
    of_the_scope, kept = next(_keys), next(_keys)
    scope = principals_scope("s", ALICE)
    for key, name in ((mapped, b"shared"), (request(conn, "request_rows", HERS), b"shared"), (kept, b"shared"),
                      (request(conn, "pending_requests", HERS), b"shared"), (of_the_scope, scope)):
        conn.execute("INSERT INTO weir.derived_queue (scope, started_at, request_key, lead_key, lead_at)"
                     " VALUES (%s, now(), %s, %s, now())", (name, key, key))
    for name in (scope, b"shared"):
        conn.execute("INSERT INTO weir.derived_scopes (scope, frontier, state) VALUES (%s, now(), '')", (name,))
    forget(conn, FORGOTTEN)
    assert left(conn, "derived_queue", "request_key") == {kept}
    assert left(conn, "derived_scopes", "scope") == {b"shared"}


def test_what_is_posted(conn: psycopg.Connection) -> None:
    by_request, by_pending = uuid.uuid4(), uuid.uuid4()  # sessions without a row: only a request says whose they are
    request(conn, "request_rows", by_request, ALICE)
    request(conn, "pending_requests", by_pending, ALICE)
    for number, key in enumerate((HERS, NAMED, by_request, by_pending, THEIRS)):
        conn.execute("INSERT INTO weir.elsewhere VALUES (gen_random_uuid(), %s, 1, 's', %s, 'client', '1', now(), '')",
                     (number, key))
    forget(conn, FORGOTTEN)
    assert left(conn, "elsewhere", "session_key") == {THEIRS}


def test_what_was_handed_out(conn: psycopg.Connection) -> None:
    operations = request_operation, pending_operation = uuid.uuid4(), uuid.uuid4()
    asked = request(conn, "request_rows", HERS, operation=request_operation)
    runs = request(conn, "pending_requests", HERS, operation=pending_operation)
    kept = next(_keys)
    for key, operation, claimed in (
        (asked, next(_keys), None), (runs, next(_keys), None), (next(_keys), next(_keys), asked),
        *((next(_keys), operation, None) for operation in operations), (kept, kept, next(_keys)),
    ):
        conn.execute("INSERT INTO weir.handed_out (request_key, hash, operation_key, at, claimed_by)"
                     " VALUES (%s, 'h', %s, now(), %s)", (key, operation, claimed))
    forget(conn, FORGOTTEN)
    assert left(conn, "handed_out", "request_key") == {kept}


def test_how_tasks_ended(conn: psycopg.Connection) -> None:
    operations = uuid.uuid4(), uuid.uuid4()
    request(conn, "request_rows", HERS, operation=operations[0])
    request(conn, "pending_requests", HERS, operation=operations[1])
    for name, operation, key, who in (
        ("session", None, HERS, None), ("named", None, NAMED, None), ("principal", None, None, ALICE),
        ("asked", operations[0], None, None), ("runs", operations[1], None, None), ("kept", next(_keys), THEIRS, BOB),
    ):
        conn.execute("INSERT INTO weir.task_ends (hash, at, outcome, operation_key, session_key, principal_key)"
                     " VALUES (%s, now(), 'ok', %s, %s, %s)", (name.encode(), operation, key, who))
    forget(conn, FORGOTTEN)
    assert left(conn, "task_ends", "hash") == {b"kept"}


def test_ends_streams_and_quarantine(conn: psycopg.Connection) -> None:
    for key in (HERS, NAMED, THEIRS):
        conn.execute("INSERT INTO weir.session_ends (session_key, reason, at) VALUES (%s, 'lost', now())", (key,))
        conn.execute("INSERT INTO weir.stream_rows (stream_key, service, instance, session_key, kind, opened_at)"
                     " VALUES (gen_random_uuid(), 's', 'i', %s, 'get', now())", (key,))
    for raw in (str(NAMED), ALICE.hex(), "YWFhYWFhYWFhYWFhYWFhYQ==", BOB.hex()):
        conn.execute("INSERT INTO weir.quarantine_rows (raw, reason) VALUES (%s, 'r')", (f"<{raw}>".encode(),))
    forget(conn, FORGOTTEN)
    assert left(conn, "session_ends", "session_key") == left(conn, "stream_rows", "session_key") == {THEIRS}
    assert left(conn, "quarantine_rows", "raw") == {f"<{BOB.hex()}>".encode()}


def test_sessions_and_who_followed_them(conn: psycopg.Connection) -> None:
    session(conn, NAMED, BOB)
    follower, stranger, her_next = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    session(conn, follower, BOB, NAMED)
    session(conn, stranger, BOB, THEIRS)
    session(conn, her_next, ALICE, HERS)
    erased = forget(conn, FORGOTTEN)
    assert left(conn, "session_rows", "session_key") == {THEIRS, follower, stranger}
    found = dict(conn.execute("SELECT session_key, previous_session_key FROM weir.session_rows").fetchall())
    assert found == {THEIRS: None, follower: None, stranger: THEIRS}
    assert (erased["sessions"], erased["successors"]) == (3, 1)
