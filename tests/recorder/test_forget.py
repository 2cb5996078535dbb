"""Forgetting: one subject's rows go from the tables, from what is pending and from what is still spooled."""

import uuid
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import msgspec
import psycopg

from mcp_weir.attribution.evidence import asked_of, counted_of, lead_key, scope_of
from mcp_weir.recorder.forget import Subject, forget
from mcp_weir.sinks.settler import _COLUMNS, Settler, Stored, ToDerive, enqueue
from mcp_weir.traffic.facts import Answer, Closed, Identity, Opened, Request, TaskSeen
from spooling import SESSION, call, count, drain, now_us, query, recording, spool, wait, writer_at

OTHER, LEFT = uuid.uuid5(uuid.NAMESPACE_URL, "other"), uuid.uuid5(uuid.NAMESPACE_URL, "left")
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


def test_of_a_shared_session_only_ones_own_goes(database_url: str, tmp_path: Path) -> None:
    writer, start = writer_at(tmp_path), now_us()
    for number, who in enumerate((ALICE, BOB, ALICE, None, BOB)):
        spool(writer, call(number, principal_key=who, wall_us=start + number))
    for number, who in enumerate((ALICE, ALICE), 5):
        spool(writer, call(number, principal_key=who, session=OTHER))
    with recording(database_url, tmp_path):
        wait(lambda: count(database_url, "requests") == 7)
        erased = erase(database_url, Subject(principals=frozenset({ALICE})))
        assert (erased["requests"], erased["sessions"], erased["shared_sessions"]) == (5, 1, 1)
        spool(writer, call(7, principal_key=BOB))
        wait(lambda: count(database_url, "requests") == 3)
    assert query(database_url, "SELECT jsonrpc_id, principal_key FROM weir.requests ORDER BY 1") == [
        (number, BOB) for number in ("1", "4", "7")]
    found = query(database_url, "SELECT session_key, principal_key, remote_addr, user_agent FROM weir.sessions")
    assert found == [(SESSION, None, None, None)]
    assert ALICE.hex() not in everything(database_url)
    erased = erase(database_url, Subject(sessions=frozenset({SESSION})))  # who names the session means all of it
    assert (erased["requests"], erased["sessions"], count(database_url, "requests")) == (3, 1, 0)
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


def queue_again(url: str) -> None:
    """As if no settler had looked at the stored requests yet."""
    rows = [Stored(*row) for row in query(url, f"SELECT {_COLUMNS} FROM weir.request_rows")]
    with psycopg.connect(url, autocommit=True) as conn:
        for table in ("derived_requests", "derived_queue", "derived_scopes", "session_rows"):
            conn.execute(f"DELETE FROM weir.{table}".encode())
        enqueue(conn, [ToDerive(
            scope_of(row), row.started_at, row.request_key, lead_key(row.request_key), row.started_at,
            msgspec.msgpack.encode(asked_of(row, at_us)), msgspec.msgpack.encode(counted_of(row, at_us)),
        ) for row in rows for at_us in [round(row.started_at.timestamp() * 1e6)]])


def settle(url: str, watermark_us: int = 0) -> int:
    """One run of a settler; with no watermark everything stays provisional."""
    with psycopg.connect(url, autocommit=True) as conn:
        return Settler(conn, timedelta(minutes=30)).run(watermark_us)


def left_of_derivation(url: str) -> dict[str, int]:
    return {name: count(url, name) for name in (
        "request_rows", "derived_requests", "derived_queue", "derived_scopes", "session_rows") if count(url, name)}


def test_a_settler_that_has_begun_writes_nothing_after_the_erasure(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    spool(writer, call(0, principal_key=ALICE, session=None))
    drain(database_url, tmp_path, lambda: count(database_url, "request_rows") == 1)
    queue_again(database_url)
    with psycopg.connect(database_url) as gate, ThreadPoolExecutor(2) as pool:
        # the settler has read, and waits with its writing for whoever is about to write the same mapping
        gate.execute("INSERT INTO weir.derived_requests SELECT request_key, started_at, request_key"
                     " FROM weir.request_rows")
        settling = pool.submit(settle, database_url)
        wait(lambda: settling.done() or waiting(database_url, "derived_requests AS d") == 1)
        erasing = pool.submit(erase, database_url, Subject(principals=frozenset({ALICE})))
        wait(lambda: erasing.done() or waiting(database_url, "LOCK TABLE") == 1)
        gate.rollback()
        assert settling.result(10) == 1 and erasing.result(10)["requests"] == 1
    assert left_of_derivation(database_url) == {}
    writer.close()


def test_no_settler_begins_while_somebody_is_being_forgotten(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    spool(writer, call(0, principal_key=ALICE, session=None))
    drain(database_url, tmp_path, lambda: count(database_url, "request_rows") == 1)
    queue_again(database_url)
    with psycopg.connect(database_url) as gate, ThreadPoolExecutor(1) as pool:
        gate.execute("SELECT 1 FROM weir.request_rows FOR UPDATE")
        erasing = pool.submit(erase, database_url, Subject(principals=frozenset({ALICE})))
        wait(lambda: erasing.done() or waiting(database_url, "WITH theirs") == 1)
        assert settle(database_url) == 0  # and it does not wait for it either
        gate.rollback()
        erasing.result(10)
    assert settle(database_url) == 0 and left_of_derivation(database_url) == {}
    writer.close()


def waiting(url: str, words: str) -> int:
    """Connections that wait for a lock with such a statement."""
    found = query(url, "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
                       " AND wait_event_type = 'Lock' AND position(%s IN query) > 0", words)
    return int(found[0][0])


def test_a_derived_session_goes_and_its_neighbours_at_the_address_go_on(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number, name in enumerate(("one", "two", "one", "two")):
        spool(writer, call(number, session=None, client=Identity(name=name, version="1")))
    drain(database_url, tmp_path, lambda: count(database_url, "request_rows") == 4)
    queue_again(database_url)
    settle(database_url, now_us() + 60_000_000)
    sessions = dict(query(database_url, "SELECT client_name, session_key FROM weir.session_rows"))
    erase(database_url, Subject(sessions=frozenset({sessions["one"]})))
    spool(writer, call(4, session=None, client=Identity(name="two", version="1")))
    drain(database_url, tmp_path, lambda: count(database_url, "derived_requests") == 3)
    found = query(database_url, "SELECT session_key, request_count FROM weir.session_rows")
    assert found == [(sessions["two"], 3)]
    assert [str(sessions["one"]).encode() in state for (state,) in query(
        database_url, "SELECT state FROM weir.derived_scopes")] == [False]
    writer.close()


def test_what_was_handed_out_and_what_is_posted_goes_too(database_url: str) -> None:
    session, request, answer, other = (uuid.uuid4() for _ in range(4))
    values = {"session": session, "request": request, "answer": answer, "other": other, "alice": ALICE, "bob": BOB}
    with psycopg.connect(database_url, autocommit=True) as conn:
        for key, who in ((request, ALICE), (answer, ALICE), (other, BOB)):
            conn.execute(_ROW, values | {"key": key, "who": who})
        conn.execute("INSERT INTO weir.handed_out (request_key, hash, operation_key, at, claimed_by) VALUES"
                     " (%(request)s, 'h', %(request)s, now(), %(answer)s), (%(other)s, 'i', %(other)s, now(), NULL)",
                     values)
        conn.execute("INSERT INTO weir.elsewhere VALUES"
                     " (%(other)s, 1, 1, 's', %(session)s, 'client', '1', now(), 'what was said'),"
                     " (%(other)s, 2, 1, 's', %(other)s, 'client', '1', now(), 'by others')", values)
        conn.execute("INSERT INTO weir.task_ends (hash, at, outcome, operation_key, session_key, principal_key) VALUES"
                     " ('a', now(), 'ok', %(request)s, NULL, NULL), ('b', now(), 'ok', NULL, %(session)s, NULL),"
                     " ('c', now(), 'ok', NULL, NULL, %(alice)s), ('d', now(), 'ok', %(other)s, %(other)s, %(bob)s)",
                     values)
        conn.execute("INSERT INTO weir.session_rows (session_key, service, instance, source, confidence, started_at,"
                     " last_seen_at, seen_by, principal_key) VALUES"
                     " (%(session)s, 's', 'i', 'header', 1, now(), now(), gen_random_uuid(), %(alice)s)", values)
    erased = erase(database_url, Subject(principals=frozenset({ALICE})))
    assert (erased["requests"], erased["handed_out"], erased["posted"], erased["task_ends"]) == (2, 1, 1, 3)
    assert query(database_url, "SELECT hash FROM weir.task_ends") == [(b"d",)]
    assert query(database_url, "SELECT request_key FROM weir.handed_out") == [(other,)]
    assert query(database_url, "SELECT said FROM weir.elsewhere") == [(b"by others",)]


_ROW = (
    "INSERT INTO weir.request_rows (request_key, operation_key, session_key, principal_key, started_at, service,"
    " instance, direction, outcome, stream) VALUES (%(key)s, %(key)s, CASE WHEN %(who)s = %(alice)s THEN %(session)s"
    " ELSE %(other)s END, %(who)s, now(), 's', 'i', 'client', 'ok', gen_random_uuid())"
)


def test_a_notification_that_is_still_spooled_brings_no_session_back(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number, (session, who) in enumerate(((SESSION, None), (LEFT, ALICE), (OTHER, BOB))):
        opened, *_, closed = call(number, session=session, principal_key=who)
        spool(writer, [opened, msgspec.structs.replace(closed, status=202, response_kind="none")])
    erase(database_url, Subject(sessions=frozenset({SESSION}), principals=frozenset({ALICE})))
    drain(database_url, tmp_path, lambda: query(
        database_url, "SELECT sum(stored) FROM weir.coverage_rows") == [(3,)])
    assert query(database_url, "SELECT session_key FROM weir.session_rows") == [(OTHER,)]
    writer.close()


def test_of_a_task_that_ended_nothing_rests_that_is_still_spooled(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number, who in enumerate((ALICE, BOB)):
        opened, request, answer, closed = call(number, principal_key=who, session=None)
        ended = TaskSeen(exchange=number, at_us=20, direction="client", task=b"t" * 16, task_status="completed")
        spool(writer, [opened, request, ended, answer, closed])
    erase(database_url, Subject(principals=frozenset({ALICE})))
    drain(database_url, tmp_path, lambda: count(database_url, "request_rows") == 1)
    assert query(database_url, "SELECT principal_key FROM weir.task_ends") == [(BOB,)]
    writer.close()


def test_what_is_still_spooled_hands_out_nothing(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number, who in enumerate((ALICE, BOB)):
        opened, request, answer, closed = call(number, principal_key=who, session=None)
        asks = msgspec.structs.replace(answer, outcome="input_required", state_hash=b"h" * 16)
        spool(writer, [opened, request, asks, closed])
    erase(database_url, Subject(principals=frozenset({ALICE})))
    drain(database_url, tmp_path, lambda: count(database_url, "request_rows") == 1)
    handed = query(database_url, "SELECT request_key FROM weir.handed_out")
    assert handed == query(database_url, "SELECT request_key FROM weir.request_rows WHERE principal_key = %s", BOB)
    writer.close()


def test_a_stream_that_goes_on_says_nothing_more_of_whoever_is_forgotten(database_url: str, tmp_path: Path) -> None:
    """Opened before, still spooled, and for ever after asked and answered: no row, no trace, and the count is right."""
    writer = writer_at(tmp_path)
    opened = Opened(exchange=1, wall_us=now_us(), mono_us=1, http_method="GET", session=SESSION, principal_key=ALICE)

    def asks(member: int) -> Request:
        return Request(exchange=1, member=0x80_0000 + member, at_us=member, direction="server", arguments=SECRET,
                       jsonrpc_id=str(member), method="elicitation/create")

    spool(writer, [opened, asks(1)])
    erase(database_url, Subject(principals=frozenset({ALICE})))
    with recording(database_url, tmp_path) as recorder:
        wait(lambda: count(database_url, "open_exchanges") == 1)
        post, _, _, closed = call(2, session=SESSION)
        answer = Answer(exchange=2, at_us=5, direction="server", jsonrpc_id="1", member=None)
        spool(writer, [post, answer, msgspec.structs.replace(closed, status=202, response_kind="none")])
        writer.offer([asks(2)], opened.wall_us // 60_000_000)
        spool(writer, call(3, principal_key=BOB, session=OTHER))
        wait(lambda: count(database_url, "request_rows") == 1)
        assert SECRET not in everything(database_url) and count(database_url, "stream_rows") == 0
        assert count(database_url, "pending_requests") == 0
        ended = Closed(exchange=1, at_us=9, closed_by="complete", status=200, response_kind="sse")
        writer.offer([ended], opened.wall_us // 60_000_000)
        wait(lambda: count(database_url, "open_exchanges") == 0)
        assert recorder.state.quarantined == 0
    assert query(database_url, "SELECT principal_key FROM weir.request_rows") == [(BOB,)]
    assert count(database_url, "stream_rows") == 0
    assert query(database_url, "SELECT sum(seen), sum(stored), sum(quarantined) FROM weir.coverage") == [(3, 3, 0)]
    writer.close()


def test_what_begins_while_the_erasure_waits_for_a_batch_is_erased_too(database_url: str, tmp_path: Path) -> None:
    """A tombstone's time is when it is set: a recorder's batch may be waited for, for a minute."""
    writer = writer_at(tmp_path)
    with psycopg.connect(database_url) as batch, ThreadPoolExecutor(1) as pool:
        batch.execute("SELECT pg_advisory_xact_lock_shared(hashtext('weir.erase'))")
        erasing = pool.submit(erase, database_url, Subject(principals=frozenset({ALICE})))
        wait(lambda: waiting(database_url, "weir.erase") == 1)
        spool(writer, call(1, principal_key=ALICE, arguments=SECRET))
        spool(writer, call(2, principal_key=BOB))
        batch.rollback()
        erasing.result(20)
    spool(writer, call(3, principal_key=ALICE))
    drain(database_url, tmp_path, lambda: query(database_url, "SELECT sum(stored) FROM weir.coverage") == [(3,)])
    assert sorted(query(database_url, "SELECT jsonrpc_id FROM weir.request_rows")) == [("2",), ("3",)]
    assert SECRET not in everything(database_url)
    writer.close()
