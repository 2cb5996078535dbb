"""What a recorder that is gone left waiting is another's: at once where it said so itself, else after some silence."""

import uuid
from pathlib import Path

import msgspec
import psycopg

from mcp_weir.attribution.state import ExchangeState, Origin
from mcp_weir.sinks import waiting
from mcp_weir.traffic.facts import Answer, Closed, Opened, Request
from spooling import SESSION, call, count, now_us, query, recording, spool, wait, writer_at

GONE, HERE = uuid.uuid4(), uuid.uuid4()


def left_open(conn: psycopg.Connection, stream: uuid.UUID, recorder: uuid.UUID, done: bool) -> None:
    state = ExchangeState(Origin(stream, "s", "i", "k"), Opened(exchange=1, wall_us=1, mono_us=1, http_method="POST"))
    conn.execute("INSERT INTO weir.open_exchanges (stream, exchange, state, recorder, service)"
                 " VALUES (%s, 1, %s, %s, 's')", (stream, msgspec.msgpack.encode(state), recorder))
    conn.execute("INSERT INTO weir.stream_marks (stream, service, read_to, done) VALUES (%s, 's', now(), %s)",
                 (stream, done))


def test_of_whoever_left_what_is_read_to_its_end_is_adopted_once(database_url: str) -> None:
    over, lives, others = uuid.uuid4(), uuid.uuid4(), uuid.uuid4()
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("INSERT INTO weir.recorders (recorder) VALUES (%s), (%s)", (GONE, HERE))
        left_open(conn, over, GONE, True)
        left_open(conn, lives, GONE, False)  # somebody reads its stream, and takes it up from there
        left_open(conn, others, HERE, True)
        assert waiting.adopt(conn, uuid.uuid4()) == []  # both are heard of
        waiting.leave(conn, GONE)
        assert [state.origin.stream for state in waiting.adopt(conn, HERE)] == [over]
        assert waiting.adopt(conn, uuid.uuid4()) == []
        conn.execute("UPDATE weir.recorders SET seen_at = now() - interval '1 minute'")  # no word for a minute
        assert {state.origin.stream for state in waiting.adopt(conn, uuid.uuid4())} == {over, others}


def recorders(url: str) -> set[uuid.UUID]:
    return {recorder for (recorder,) in query(url, "SELECT recorder FROM weir.recorders")}


def test_a_recorder_that_connects_again_goes_on_with_what_it_left(database_url: str, tmp_path: Path) -> None:
    """A question of a server's whose stream died waits for an answer elsewhere: with whoever holds it."""
    dead, living = writer_at(tmp_path), writer_at(tmp_path)
    opened = Opened(exchange=1, wall_us=now_us(), mono_us=1, http_method="GET", session=SESSION)
    asks = Request(exchange=1, member=0x80_0000, at_us=1, direction="server", jsonrpc_id="7", method="ping")
    spool(dead, [opened, asks, Closed(exchange=1, at_us=2, closed_by="client", status=200, response_kind="sse")])
    dead.close()
    with recording(database_url, tmp_path):
        wait(lambda: query(database_url, "SELECT done FROM weir.stream_marks ORDER BY 1") == [(False,), (True,)], 60)
        wait(lambda: len(recorders(database_url)) == 1, 60)
        (before,) = recorders(database_url)
        query(database_url, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
                            " AND pid <> pg_backend_pid()")
        wait(lambda: len(recorders(database_url) - {before}) == 1, 60)
        assert before not in recorders(database_url)
        post, _, _, closed = call(2, session=SESSION)
        answer = Answer(exchange=2, at_us=5, direction="server", jsonrpc_id="7", member=None)
        spool(living, [post, answer, msgspec.structs.replace(closed, status=202, response_kind="none")])
        living.heartbeat(now_us())
        wait(lambda: query(database_url, "SELECT jsonrpc_id, outcome FROM weir.request_rows") == [("7", "ok")], 60)
        wait(lambda: count(database_url, "open_exchanges") == 0)
    living.close()
