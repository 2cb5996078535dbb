"""Tasks are one operation from creation to their end, also where nobody asks how they ended."""

from pathlib import Path
from typing import Any

import pytest

from mcp_weir.traffic.facts import Line, TaskSeen
from spooling import query, recording, wait

from .script import BASE_US, Exchange, call
from .test_two_recorders import Replicas, both_have_read

TASK = b"task-hash"
ASKED = "SELECT outcome, rounds, method, ended_at - started_at FROM weir.operations"


def seen(at: float, status: str, outcome: str | None = None, session: Any = None, **opened: Any) -> Line:
    """A subscription on which notifications about a task passed."""
    one = Exchange(at - 1, session=session, **opened)
    return [*one.open(), *one.asks("s", "subscriptions/listen", protocol_version="2026-07-28"),
            TaskSeen(exchange=one.number, at_us=one.us(at - 0.5), direction="client", task=TASK, task_status="working"),
            TaskSeen(exchange=one.number, at_us=one.us(at), direction="client", task=TASK, task_status=status,
                     task_outcome=outcome),
            *one.closes(at + 0.1, by="client", response_kind="sse")]


def made(at: float, id: int, session: Any = None, **opened: Any) -> Line:
    return call(id, at, session=session, protocol_version="2026-07-28",
                answered={"task": TASK, "task_status": "working"}, **opened)


def operations(database_url: str, tmp_path: Path, *lines: tuple[int, Line]) -> list[tuple[Any, ...]]:
    replicas = Replicas(tmp_path)
    with recording(database_url, replicas.roots[0]), recording(database_url, replicas.roots[1]):
        both_have_read(database_url)
        for n, (worker, line) in enumerate(lines):
            replicas.write(worker, line, BASE_US + 30_000_000 + n)
        for writer in replicas.writers:
            writer.heartbeat(BASE_US + 90_000_000)
        replicas.close()
        wait(lambda: query(database_url, "SELECT count(*) FROM weir.request_rows") == [(len(lines),)])
        unknown = "SELECT count(*) FROM weir.task_ends WHERE operation_key IS NULL"
        wait(lambda: query(database_url, unknown) == [(0,)], 25)
    return [(outcome, rounds, method, round(took.total_seconds(), 1))
            for outcome, rounds, method, took in query(database_url, ASKED)]


@pytest.mark.parametrize(("status", "told", "is_"), [
    ("completed", "tool_error", "tool_error"), ("completed", None, "ok"), ("failed", "rpc_error", "rpc_error"),
    ("cancelled", None, "cancelled"),
])
def test_a_task_whose_end_was_only_notified_ends_as_it_was_told(
    database_url: str, tmp_path: Path, status: str, told: str | None, is_: str
) -> None:
    found = operations(database_url, tmp_path, (1, seen(20, status, told, principal_key=b"ann")),
                       (0, made(10, 1, principal_key=b"ann")))  # the end is read before the beginning, by another
    assert found == [(is_, 1, "tools/call", 10.0)]


@pytest.mark.parametrize(("method", "answered", "is_"), [
    ("tasks/cancel", {"task_status": "cancelled"}, "cancelled"),
    ("tasks/get", {"task_status": "cancelled"}, "cancelled"),
    ("tasks/get", {"task_status": "failed"}, "rpc_error"),
])
def test_who_asks_after_a_task_is_answered_whatever_became_of_it(
    database_url: str, tmp_path: Path, method: str, answered: dict[str, Any], is_: str
) -> None:
    who = {"principal_key": b"ann"}
    asks = call(2, 15, session=None, method=method, task=TASK, target=None, answered={"task": TASK} | answered, **who)
    again = call(3, 16, session=None, method="tasks/get", task=TASK, target=None, answered={"task": TASK}, **who)
    found = operations(database_url, tmp_path, (0, made(10, 1, **who)), (1, asks), (2, again))
    assert found == [(is_, 3, "tools/call", 6.1)]
    rows = "SELECT method, outcome FROM weir.requests ORDER BY started_at"
    assert query(database_url, rows) == [("tools/call", "ok"), (method, "ok"), ("tasks/get", "ok")]


@pytest.mark.parametrize("told", ["tool_error", "rpc_error", "ok"])
def test_an_end_that_is_told_in_the_answer_itself_is_its_outcome(
    database_url: str, tmp_path: Path, told: str
) -> None:
    who = {"principal_key": b"ann"}
    gets = call(2, 15, session=None, method="tasks/get", task=TASK, target=None,
                answered={"task": TASK, "task_status": "completed", "task_outcome": told}, **who)
    found = operations(database_url, tmp_path, (0, made(10, 1, **who)), (1, gets))
    assert found == [(told, 2, "tools/call", 5.1)]
    assert query(database_url, "SELECT outcome FROM weir.requests WHERE method = 'tasks/get'") == [(told,)]


def test_what_the_result_says_outweighs_the_status(database_url: str, tmp_path: Path) -> None:
    who = {"principal_key": b"ann"}
    found = operations(
        database_url, tmp_path, (0, made(10, 1, **who)), (1, seen(20, "completed", **who)),
        (2, call(2, 21, session=None, method="tasks/result", task=TASK, target=None,
                 answered={"task": TASK, "task_outcome": "tool_error"}, **who)),
        (3, call(3, 15, session=None, method="tasks/get", task=TASK, target=None,
                 answered={"task": TASK, "task_status": "working"}, **who)))
    assert found == [("tool_error", 3, "tools/call", 11.1)]


def test_another_principals_task_of_the_same_name_is_another(database_url: str, tmp_path: Path) -> None:
    replicas = Replicas(tmp_path)
    with recording(database_url, replicas.roots[0]):
        replicas.write(0, made(10, 1, principal_key=b"ann"), BASE_US + 30_000_000)
        replicas.write(0, seen(20, "completed", principal_key=b"bob"), BASE_US + 31_000_000)
        replicas.close()
        wait(lambda: query(database_url, "SELECT count(*) FROM weir.request_rows") == [(2,)])
        wait(lambda: query(database_url, "SELECT operation_key FROM weir.task_ends") == [(None,)])
    assert query(database_url, ASKED) == []
