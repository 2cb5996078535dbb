"""The recorder against a real Postgres: every exchange once, through cuts and restarts."""

import threading
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec
import psycopg

from mcp_weir.recorder.drain import Recorder
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.traffic.facts import Answer, Closed, Identity, Opened, Request, ToolShown

SESSION = uuid.uuid5(uuid.NAMESPACE_URL, "session")


def call(number: int, *, session: uuid.UUID | None = SESSION, target: str | None = "add") -> list:
    wall_us = time.time_ns() // 1000
    return [
        Opened(exchange=number, wall_us=wall_us, mono_us=number, http_method="POST", session=session,
               session_source="header" if session else None, client_addr="127.0.0.1"),
        Request(exchange=number, member=0, at_us=10, direction="client", jsonrpc_id=str(number), method="tools/call",
                target=target, client=Identity(name="c", version="1")),
        Answer(exchange=number, at_us=900, direction="client", jsonrpc_id=str(number), member=0),
        Closed(exchange=number, at_us=1000, closed_by="complete", status=200, response_kind="json"),
    ]


def writer_at(root: Path) -> SpoolWriter:
    return SpoolWriter(root, service="s", instance="i", key_id="k")


def drain_until(url: str, root: Path, wanted: int | Callable[[], bool]) -> Recorder:
    """Run a recorder until there are so many rows, or until this holds."""
    done = wanted if callable(wanted) else lambda: len(rows(url)) >= wanted
    recorder, stop = Recorder(url, root, poll_s=0.02), threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop,), daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline and not done():
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join(20)
    assert not thread.is_alive() and done()
    return recorder


def rows(url: str) -> list[tuple]:
    with psycopg.connect(url) as conn:
        return conn.execute(
            "SELECT jsonrpc_id, outcome, session_key, target FROM weir.requests ORDER BY started_at"
        ).fetchall()


def test_calls_become_rows_and_one_session(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number in range(20):
        writer.offer(call(number), 5)
    drain_until(database_url, tmp_path, 20)
    assert [row[:3] for row in rows(database_url)] == [(str(n), "ok", SESSION) for n in range(20)]
    with psycopg.connect(database_url) as conn:
        found = conn.execute("SELECT request_count, tool_call_count, client_name, source FROM weir.sessions").fetchall()
    assert found == [(20, 20, "c", "header")]
    writer.close()


def test_a_restarted_recorder_writes_nothing_twice(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number in range(10):
        writer.offer(call(number), 5)
    drain_until(database_url, tmp_path, 10)
    for number in range(10, 15):
        writer.offer(call(number), 5)
    writer.close()
    drain_until(database_url, tmp_path, 15)
    assert [int(row[0]) for row in rows(database_url)] == list(range(15))
    assert list(tmp_path.glob("*/*.seg")) == []


def test_a_dead_worker_leaves_interrupted_and_a_live_one_running(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    writer.offer(call(1)[:2], 5)
    drain_until(database_url, tmp_path, 1)
    assert rows(database_url)[0][1] == "running"
    writer.close()
    drain_until(database_url, tmp_path, lambda: [row[1] for row in rows(database_url)] == ["interrupted"])


def test_an_exchange_only_opened_when_the_recorder_restarts_is_not_forgotten(
    database_url: str, tmp_path: Path
) -> None:
    writer = writer_at(tmp_path)
    writer.offer(call(0), 5)
    writer.offer(call(1)[:1], 5)
    drain_until(database_url, tmp_path, 1)
    writer.offer(call(1)[1:], 5)
    drain_until(database_url, tmp_path, 2)
    assert [row[:2] for row in rows(database_url)] == [("0", "ok"), ("1", "ok")]
    writer.close()


def test_an_answer_that_comes_elsewhere_is_joined(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    asked = Request(exchange=1, member=0x800000, at_us=50, direction="server", jsonrpc_id="1",
                    method="elicitation/create")
    writer.offer([call(1)[0], asked], 5)
    posted = Answer(exchange=2, at_us=1, direction="server", jsonrpc_id="1")
    writer.offer([call(2)[0], posted, call(2)[3]], 5)
    writer.offer([call(1)[3]], 5)
    writer.heartbeat(time.time_ns() // 1000 + 1_000_000)
    drain_until(database_url, tmp_path, lambda: [row[:2] for row in rows(database_url)] == [("1", "ok")])
    writer.close()


def test_poison_is_quarantined_and_neighbours_kept(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number in range(9):
        writer.offer(call(number, target="bad\0name" if number == 4 else "add"), 5)
    drain_until(database_url, tmp_path, 8)
    assert [row[0] for row in rows(database_url)] == [str(n) for n in range(9) if n != 4]
    with psycopg.connect(database_url) as conn:
        assert len(conn.execute("SELECT 1 FROM weir.quarantine").fetchall()) == 1
    writer.close()


def sessions(url: str) -> list[tuple]:
    with psycopg.connect(url) as conn:
        return conn.execute("SELECT source, request_count FROM weir.sessions").fetchall()


def test_requests_without_a_session_derive_one_per_client(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number in range(5):
        writer.offer(call(number, session=None), 5)
    drain_until(database_url, tmp_path, lambda: sessions(database_url) == [("client", 5)])
    assert len({row[2] for row in rows(database_url)}) == 1
    writer.close()


def test_poison_without_a_session_does_not_stop_the_settling_of_others(database_url: str, tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    for number in range(6):
        name = Identity(name="bad\0name" if number == 2 else "c", version="1")
        line = call(number, session=None)
        line[1] = msgspec.structs.replace(line[1], client=name)
        writer.offer(line, 5)
    drain_until(database_url, tmp_path, lambda: sessions(database_url) == [("client", 5)])
    writer.close()


def listing(number: int, wall_us: int) -> list:
    opened, request, answer, closed = call(number, target=None)
    shown = ToolShown(tool="add", content_hash=b"c" * 16, schema_hash=b"s" * 16, tokens=7)
    return [msgspec.structs.replace(opened, wall_us=wall_us), msgspec.structs.replace(request, method="tools/list"),
            msgspec.structs.replace(answer, tools=(shown,)), closed]


def test_lists_of_one_batch_are_each_counted(database_url: str, tmp_path: Path) -> None:
    writer, now = writer_at(tmp_path), time.time_ns() // 1000
    for number, back in enumerate((30, 90, 60)):
        writer.offer(listing(number, now - back * 1_000_000), 5)
    drain_until(database_url, tmp_path, 3)
    with psycopg.connect(database_url) as conn:
        found = conn.execute("SELECT times_listed, extract(epoch FROM first_seen) * 1000000,"
                             " extract(epoch FROM last_seen) * 1000000 FROM weir.catalog").fetchall()
    assert found == [(3, now - 90_000_000, now - 30_000_000)]
    writer.close()
