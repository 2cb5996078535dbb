"""How sessions end: what each reason needs, and which of several holds."""

import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mcp_weir.attribution.sessions import SessionEnd, end_of
from mcp_weir.sinks.succession import replace
from mcp_weir.traffic.facts import Identity, Line
from spooling import query, recording, wait

from .script import BASE_US, SESSION, Exchange, call, initialize, joined
from .test_two_recorders import Replicas, both_have_read

NEXT = uuid.uuid5(uuid.NAMESPACE_URL, "next")


def refused(at: float, status: int, message: str | None = None) -> Line:
    one = Exchange(at)
    said = one.answers(9, at + 0.01, outcome="http_error", error_message=message) if message else []
    return [*one.open(), *one.asks(9), *said, *one.closes(at + 0.01, status=status)]


def ends(*lines: Line) -> list[SessionEnd]:
    found = (end_of(state) for state in joined(*lines).ended)
    return [end for end in found if end is not None]


def within(at: float, session: uuid.UUID = NEXT, **opened: Any) -> Line:
    """An `initialize` that names the session which the client had, and is given another."""
    one = Exchange(at, **opened)
    return [*one.open(), *one.asks(0, "initialize", client=Identity(name="c", version="1")),
            *one.answers(0, at + 0.01, session=session), *one.closes(at + 0.01)]


@pytest.mark.parametrize("said", [
    "Bad Request: No valid session ID provided", "Session not found", "Invalid session ID", "Session has expired",
    "Invalid or expired session", "unknown session", "Session '***' was not found",
])
def test_a_server_that_says_in_words_that_it_knows_no_such_session_has_lost_it(said: str) -> None:
    assert [end.reason for end in ends(refused(1, 400, said))] == ["lost"]


@pytest.mark.parametrize(("http_method", "kind", "reasons"), [
    ("POST", "none", ["lost"]), ("GET", "json", ["lost"]), ("GET", "none", []), ("DELETE", "none", []),
    ("DELETE", "json", ["lost"]),
])
def test_a_route_that_is_not_there_is_no_session_that_is_not_there(
    http_method: str, kind: str, reasons: list[str]
) -> None:
    one = Exchange(1, http_method)
    assert [end.reason for end in ends([*one.open(), *one.closes(1.1, status=404, response_kind=kind)])] == reasons


@pytest.mark.parametrize("said", [None, "Server not initialized", "Session already initialized", "session"])
def test_any_other_refusal_ends_nothing(said: str | None) -> None:
    assert ends(refused(1, 400, said)) == []


def test_what_is_lost_has_to_have_been_named() -> None:
    one = Exchange(1, session=None)
    assert ends([*one.open(), *one.asks(1), *one.answers(1, 1.1, outcome="http_error", error_message="Unknown session"),
                 *one.closes(1.1, status=400)]) == []


def test_initialize_within_a_session_begins_another_and_replaces_it() -> None:
    found = joined(initialize(0), within(5), call(1, 6, session=NEXT))
    assert [row.session_key for row, _ in found.rows] == [SESSION, NEXT, NEXT]
    assert [(end.session_key, end.reason) for end in map(end_of, found.ended) if end] == [(SESSION, "replaced")]


def test_initialize_that_is_given_the_session_it_names_ends_nothing() -> None:
    assert ends(initialize(0), within(5, SESSION)) == []


def test_a_call_answered_elsewhere_is_found_though_its_session_was_named_late() -> None:
    one, resumed = Exchange(0, session=None), Exchange(2, "GET", resumes=b"e1")
    found = joined([*one.open(), *one.asks(0, "initialize"), *one.event_ids("e1"), *one.assigned(0.1),
                    *one.closes(0.2, response_kind="sse")],
                   [*resumed.open(), *resumed.answers(0, 2.1, member=None), *resumed.closes(3, response_kind="sse")])
    assert [(row.method, row.outcome) for row, _ in found.rows] == [("initialize", "ok")]


def story(database_url: str, tmp_path: Path, *lines: tuple[int, Line, float], rows: int) -> list[tuple[Any, ...]]:
    """Lines at workers of two replicas; what the view says of the sessions when their time has passed."""
    replicas = Replicas(tmp_path)
    with recording(database_url, replicas.roots[0]), recording(database_url, replicas.roots[1]):
        both_have_read(database_url)
        for worker, line, at in lines:
            replicas.write(worker, line, BASE_US + int(at * 1e6))
        replicas.close()
        wait(lambda: query(database_url, "SELECT count(*) FROM weir.request_rows") == [(rows,)])
    with psycopg.connect(database_url) as conn:
        replace(conn, BASE_US + 1_900_000_000, timedelta(minutes=30))
    found = "SELECT end_reason, previous_session_key FROM weir.sessions ORDER BY started_at"
    return query(database_url, found)


def test_a_client_that_begins_anew_on_its_connection_replaces_what_is_silent_afterwards(
    database_url: str, tmp_path: Path
) -> None:
    found = story(
        database_url, tmp_path, (0, initialize(0, connection=5), 1), (1, call(1, 2), 3),
        (0, initialize(4, session=NEXT, connection=5), 5), (1, call(1, 6, session=NEXT), 7), rows=4)
    assert found == [("replaced", None), ("idle_timeout", SESSION)]


@pytest.mark.parametrize("differs", [
    {"connection": 6}, {"connection": 5, "name": "other"}, {"connection": 5, "principal_key": b"p"},
    {"connection": 5, "proxied": True},
])
def test_another_client_or_connection_replaces_nothing(
    database_url: str, tmp_path: Path, differs: dict[str, Any]
) -> None:
    found = story(database_url, tmp_path, (0, initialize(0, connection=5), 1),
                  (0, initialize(4, session=NEXT, **differs), 5), rows=2)
    assert found == [("idle_timeout", None), ("idle_timeout", None)]


def test_a_session_that_is_heard_of_after_the_other_began_was_not_replaced(database_url: str, tmp_path: Path) -> None:
    found = story(database_url, tmp_path, (0, initialize(0, connection=5), 1),
                  (0, initialize(4, session=NEXT, connection=5), 5), (1, call(1, 9), 10), rows=3)
    assert found == [("idle_timeout", None), ("idle_timeout", None)]


def deletes(at: float, status: int) -> Line:
    one = Exchange(at, "DELETE")
    return [*one.open(), *one.closes(at + 0.1, status=status, response_kind="none", flags=("probe",))]


@pytest.mark.parametrize("status", [200, 405])
def test_a_client_that_deletes_its_session_is_done_with_it_unless_it_goes_on(
    database_url: str, tmp_path: Path, status: int
) -> None:
    begun, called = (0, initialize(0), 1), (1, call(1, 2), 3)
    found = story(database_url, tmp_path, begun, called, (1, deletes(4, status), 5), rows=3 if status == 405 else 2)
    assert found == [("client_delete", None)]


@pytest.mark.parametrize(("more", "reason"), [([], "idle_timeout"), ([(1, deletes(7, 405), 8)], "client_delete")])
def test_a_session_that_could_not_be_deleted_and_goes_on_has_not_ended_then(
    database_url: str, tmp_path: Path, more: list[Any], reason: str
) -> None:
    found = story(database_url, tmp_path, (0, initialize(0), 1), (1, deletes(2, 405), 3), (0, call(1, 5), 6), *more,
                  rows=3 + len(more))
    assert found == [(reason, None)]


@pytest.mark.parametrize(("status", "rows"), [(202, []), (204, []), (200, ["ok"]), (400, ["http_error"])])
def test_what_nobody_could_read_is_a_row_where_it_asked_or_failed(status: int, rows: list[str]) -> None:
    one = Exchange(1)
    found = joined([*one.open(), *one.closes(1.1, status=status, flags=("malformed",))])
    assert [row.outcome for row, _ in found.rows] == rows
