"""Forgetting: one subject's rows go from the tables, from what is pending and from what is still spooled."""

import uuid
from pathlib import Path

import psycopg

from mcp_weir.recorder.forget import Subject, forget
from spooling import SESSION, call, count, drain, query, recording, spool, wait, writer_at

OTHER = uuid.uuid5(uuid.NAMESPACE_URL, "other")
ALICE, BOB = b"a" * 16, b"b" * 16
SECRET = '{"card": "4111"}'


def erase(url: str, subject: Subject) -> dict[str, int]:
    with psycopg.connect(url, autocommit=True) as conn:
        return forget(conn, subject)


def everything(url: str) -> str:
    tables = ("request_rows", "pending_requests", "session_rows", "open_exchanges", "quarantine_rows", "stream_rows")
    return "".join(str(query(url, f"SELECT t::text FROM weir.{table} t")) for table in tables)


def test_a_session_goes_and_its_neighbour_stays(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number in range(6):
        spool(writer, call(number, session=SESSION if number % 2 else OTHER, arguments=SECRET))
    spool(writer, call(6, arguments=SECRET)[:2])
    with recording(database_url, tmp_path):
        wait(lambda: count(database_url, "requests") == 7)
        erased = erase(database_url, Subject(sessions=frozenset({SESSION})))
        assert (erased["requests"], erased["pending"], erased["sessions"]) == (3, 1, 1)
        assert str(SESSION) not in everything(database_url)
        writer.offer(call(6)[3:], 1)
        spool(writer, call(7, session=OTHER))
        wait(lambda: count(database_url, "requests") == 4)
    assert str(SESSION) not in everything(database_url)
    assert count(database_url, "open_exchanges") == 0
    writer.close()


def test_what_is_still_spooled_makes_no_row_and_later_calls_do(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number in range(10):
        spool(writer, call(number, principal_key=ALICE if number < 5 else BOB))
    erase(database_url, Subject(principals=frozenset({ALICE})))
    for number in range(10, 13):
        spool(writer, call(number, principal_key=ALICE))
    drain(database_url, tmp_path, lambda: count(database_url, "requests") >= 8)
    found = query(database_url, "SELECT principal_key, count(*) FROM weir.requests GROUP BY 1 ORDER BY 1")
    assert found == [(ALICE, 3), (BOB, 5)]
    assert query(database_url, "SELECT sum(seen), sum(stored), sum(dropped) FROM weir.coverage") == [(13, 13, 0)]
    writer.close()


def test_a_recorder_at_work_notices(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    with recording(database_url, tmp_path) as recorder:
        for number in range(5):
            spool(writer, call(number, principal_key=ALICE))
        wait(lambda: count(database_url, "requests") == 5)
        erase(database_url, Subject(principals=frozenset({ALICE})))
        for number in range(5, 9):
            spool(writer, call(number, principal_key=BOB))
        wait(lambda: count(database_url, "requests") == 4)
        assert recorder.state.last_error is None
    writer.close()


def test_what_waits_to_be_derived_goes_too(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    spool(writer, call(0, principal_key=ALICE, session=None))
    drain(database_url, tmp_path, lambda: count(database_url, "request_rows") == 1)
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("DELETE FROM weir.derived_requests")  # queued, and not looked at by a settler yet
        conn.execute("DELETE FROM weir.derived_queue")
        conn.execute("INSERT INTO weir.derived_queue (scope, started_at, request_key, lead_key, lead_at)"
                     " SELECT 's', started_at, request_key, request_key, started_at FROM weir.request_rows")
    erase(database_url, Subject(principals=frozenset({ALICE})))
    assert count(database_url, "derived_queue") == 0
    writer.close()
