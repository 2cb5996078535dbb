"""Which session took the place of a lost one."""

import uuid
from pathlib import Path

from mcp_weir.attribution.successors import Begun, Lost, successors
from spooling import query, recording, wait

from .script import BASE_US, SESSION, Exchange, call, initialize
from .test_two_recorders import Replicas, both_have_read

ONE, TWO, NEW, NEWER = (uuid.UUID(int=n) for n in range(1, 5))
WIRE = uuid.UUID(int=99)
US = 1_000_000


def lost(session: uuid.UUID, at: float, connection: int | None = None, who: str = "a") -> Lost:
    return Lost(session, int(at * US), (who,), WIRE if connection else None, connection)


def begun(session: uuid.UUID, at: float, connection: int | None = None, who: str = "a") -> Begun:
    return Begun(session, int(at * US), (who,), WIRE if connection else None, connection)


def test_the_next_session_of_the_same_client_follows_a_lost_one() -> None:
    assert successors([lost(ONE, 10)], [begun(NEW, 11), begun(NEWER, 60)]) == {NEW: ONE}


def test_another_client_or_a_later_day_follows_nothing() -> None:
    assert successors([lost(ONE, 10)], [begun(NEW, 11, who="b"), begun(NEWER, 9_000)]) == {}


def test_of_two_lost_at_once_the_connection_tells() -> None:
    gone, new = [lost(ONE, 10, 1), lost(TWO, 10.1, 2)], [begun(NEW, 11, 2), begun(NEWER, 11.5, 1)]
    assert successors(gone, new) == {NEW: TWO, NEWER: ONE}


def test_of_two_lost_at_once_without_a_connection_none_is_linked() -> None:
    assert successors([lost(ONE, 10), lost(TWO, 10.1)], [begun(NEW, 11), begun(NEWER, 12)]) == {}


def test_a_restarted_server_loses_a_session_and_the_next_is_linked_to_it(database_url: str, tmp_path: Path) -> None:
    replicas, later = Replicas(tmp_path), uuid.uuid5(uuid.NAMESPACE_URL, "later")
    refused = Exchange(20)
    with recording(database_url, replicas.roots[0]), recording(database_url, replicas.roots[1]):
        both_have_read(database_url)
        replicas.write(0, initialize(0), BASE_US + 1 * US)
        replicas.write(1, call(1, 2), BASE_US + 3 * US)
        replicas.write(0, [*refused.open(), *refused.asks(2), *refused.closes(20.01, status=404)], BASE_US + 21 * US)
        replicas.write(1, initialize(21, session=later), BASE_US + 22 * US)
        replicas.write(1, call(1, 22, session=later), BASE_US + 23 * US)
        for worker in range(4):
            replicas.writers[worker].heartbeat(BASE_US + 60 * US)
        wait(lambda: query(database_url, "SELECT previous_session_key FROM weir.sessions WHERE session_key = %s", later)
             == [(SESSION,)])
        # the refused call counts in the session it named; a row may wait for its client, whom another replica has seen
        wait(lambda: query(database_url, "SELECT end_reason, request_count FROM weir.sessions WHERE session_key = %s",
                           SESSION) == [("lost", 3)])
        replicas.close()
    assert query(database_url, "SELECT outcome, client_name FROM weir.requests WHERE jsonrpc_id = '2'") == [
        ("http_error", "c")]
