"""A whole line goes a quicker way than the facts of one exchange in several lines, and comes to the same rows."""

import random
import shutil
import uuid
from pathlib import Path
from typing import Any

import msgspec
import psycopg
import pytest

from mcp_weir.recorder import intake
from mcp_weir.recorder.drain import Recorder
from mcp_weir.sinks.batch import Batch
from mcp_weir.sinks.postgres import PostgresSink
from mcp_weir.spool.reader import decode
from mcp_weir.spool.segment import seal, unseal
from mcp_weir.store import migrate
from mcp_weir.traffic.facts import Answer, Cancel, Closed, EventIds, Identity, Opened, Request, ToolShown
from spooling import call, now_us, query, recording, spool, wait, writer_at

SESSIONS = [uuid.uuid5(uuid.NAMESPACE_URL, f"session-{n}") for n in range(5)]
AGENTS = [None, "node", "python-httpx/0.28", "é/1"]
TABLES = {
    "request_rows": "recorded_xid", "session_rows": "", "stream_rows": "", "catalog_rows": "", "coverage_rows": "",
    "session_ends": "", "derived_requests": "", "quarantine_rows": "id, at", "pending_requests": "",
    **{f"{kind}_{grain}": "" for kind in ("rollup", "total") for grain in ("minute", "hour", "day")},
    **{f"{kind}_{grain}": "" for kind in ("facet", "latency", "error") for grain in ("hour", "day")},
}


class Story:
    """Exchanges that a worker might have seen, made by chance."""

    def __init__(self, seed: int) -> None:
        self.pick = random.Random(seed)
        self.began_us = now_us() - 3_600_000_000
        self.number = 0

    def maybe(self, *values: Any) -> Any:
        return self.pick.choice(values)

    def rarely(self, usual: Any, *odd: Any) -> Any:
        return self.pick.choice(odd) if self.pick.random() < 0.06 else usual

    def opened(self, **more: Any) -> Opened:
        self.number += 1
        number, maybe = self.number, self.maybe
        session = more.pop("session", maybe(None, *SESSIONS))
        values = {
            "http_method": "POST", "session": session, "session_source": "header" if session else None,
            "protocol_version": maybe(None, "2025-06-18") if session else maybe(None, "2026-07-28"),
            "principal_key": maybe(None, None, b"\1" * 16), "client_addr": maybe("127.0.0.1", "::1", None),
            "user_agent": maybe(*AGENTS), "connection": number % 7, "connection_seq": number,
            "proxied": maybe(False, False, True), "handle": maybe(None, None, None, b"h" * 16),
        } | more
        if self.pick.random() < 0.01:
            values["client_addr"] = "no address"
        return Opened(exchange=number, wall_us=self.began_us + number * 250_000, mono_us=number, **values)

    def call(self) -> list[Any]:
        maybe, opened = self.maybe, self.opened()
        number = opened.exchange
        method = maybe(*["tools/call"] * 5, "prompts/get", "ping", self.rarely("tools/list", "tasks/get"),
                       self.rarely("ping", "server/discover"))
        outcome = maybe("ok", "ok", "ok", "tool_error", "rpc_error")
        said_by = maybe(None, Identity(name="c", version="1"), Identity(name="d", capabilities="{}"))
        asked: dict[str, Any] = {
            "target": maybe("add", "slow", "é" * 300, None, "a\0b" if self.pick.random() < 0.05 else "odd"),
            "args_hash": maybe(None, b"a" * 16), "tokens_in": maybe(None, 0, 7),
            "client": None if opened.session else said_by,
            "trace_id": maybe(None, None, "t" * 32), "parent_span_id": maybe(None, "s" * 16),
            "protocol_version": maybe(None, "2026-07-28") if not opened.session else None,
            "size": maybe(0, 120), **self.rarely(
                {}, {"arguments": '{"a":1}'}, {"in_batch": True}, {"flags": ("duplicate_id",)},
                {"state_hash": b"s" * 16}, {"handle": b"g" * 16}),
        }
        said: dict[str, Any] = {
            "error_code": maybe(None, 0, -32800, -32602) if outcome == "rpc_error" else None,
            "error_message": None if outcome == "ok" else maybe(None, "no such thing", f"at {number}"),
            "size": maybe(0, 90), "tokens_out": maybe(None, 3), "progress_count": maybe(0, 2), **self.rarely(
                {}, {"result": "[]"}, {"server": Identity(name="s", version="1")},
                {"tools": (ToolShown(tool="t", content_hash=b"c" * 16, schema_hash=b"d" * 16),)}),
        }
        took = maybe(0, 1, 900, 10**7)
        line: list[Any] = [
            opened,
            Request(exchange=number, member=0, at_us=10, direction="client", method=method,
                    jsonrpc_id=maybe(str(number), f'"{number}"'), **asked),
            Answer(exchange=number, at_us=took, direction="client", jsonrpc_id="1", member=0, outcome=outcome, **said),
            self.closed(number, took),
        ]
        if self.pick.random() < 0.05:
            line.insert(3, EventIds(exchange=number, ids=(b"e",)))
        return line

    def closed(self, number: int, took: int, **more: Any) -> Closed:
        maybe = self.maybe
        values = {
            "status": self.rarely(200, 202, 400, 404), "closed_by": maybe("complete", "complete", "client"),
            "response_kind": maybe("json", "sse"), "first_byte_us": maybe(None, 800),
            "first_event_us": maybe(None, 850), "request_bytes": 150, "response_bytes": 140,
            "stall_us": maybe(0, 5), "overhead_us": maybe(0, 41),
            "flags": self.rarely((), ("header_mismatch",), ("probe",)),
        } | more
        return Closed(exchange=number, at_us=took + 50, **values)

    def hello(self, session: uuid.UUID) -> list[Any]:
        opened = self.opened(session=None, connection=0)
        number = opened.exchange
        return [
            opened,
            Request(exchange=number, member=0, at_us=1, direction="client", jsonrpc_id="0", method="initialize",
                    client=Identity(name=f"client {number}", version="1"), protocol_version="2025-06-18"),
            Answer(exchange=number, at_us=9, direction="client", jsonrpc_id="0", member=0, session=session,
                   server=Identity(name="srv"), protocol_version="2025-06-18"),
            self.closed(number, 10, status=200),
        ]

    def line(self) -> list[Any]:
        what = self.pick.random()
        if what < 0.75:
            return self.call()
        if what < 0.8:
            return self.hello(self.maybe(*SESSIONS[1:]))  # nobody introduces himself in the first
        opened = self.opened(http_method=self.maybe("POST", "POST", "GET", "DELETE"))
        flags = self.maybe((), ("notification_only",), ("malformed",))
        said = [Cancel(exchange=opened.exchange, at_us=5, direction="client", jsonrpc_id=str(self.number - 1))]
        return [opened, *self.maybe([], said), self.closed(opened.exchange, 30, flags=flags)]


def in_pieces(root: Path, whole: Path) -> None:
    """The same spool with a line for each fact."""
    shutil.copytree(whole, root)
    for path in root.glob("*/*.seg"):
        header, *lines = path.read_bytes().split(b"\n")[:-1]
        facts = [fact for line in lines for fact in decode(unseal(line) or b"")]
        path.write_bytes(header + b"\n" + b"".join(seal(msgspec.json.encode([fact])) for fact in facts))


def recorded(url: str, root: Path) -> tuple[dict[str, list[str]], Recorder]:
    """What the tables hold when nothing is left to do."""
    with recording(url, root) as recorder:
        wait(lambda: recorder.state.lines > 0 and not list(root.glob("*/*.seg")), 60)
        wait(lambda: query(url, "SELECT count(*) FROM weir.open_exchanges") == [(0,)])
        wait(lambda: query(url, "SELECT count(*) FROM weir.derived_queue") == [(0,)])
        wait(lambda: query(url, "SELECT count(*) FROM weir.session_rows WHERE provisional") == [(0,)])
    found = {}
    for table, but in TABLES.items():
        left_out = "".join(f" - '{name.strip()}'" for name in but.split(",") if name)
        rows = query(url, f"SELECT (to_jsonb(t){left_out})::text FROM weir.{table} t ORDER BY 1")
        found[table] = [str(text) for (text,) in rows]
    return found, recorder


@pytest.fixture
def two_databases(postgres_url: str) -> list[str]:
    urls = []
    for _ in range(2):
        name = f"t{uuid.uuid4().hex}"
        with psycopg.connect(postgres_url, autocommit=True) as conn:
            conn.execute(f"CREATE DATABASE {name}")
        urls.append(postgres_url.replace("/postgres?", f"/{name}?"))
        with psycopg.connect(urls[-1], autocommit=True) as conn:
            migrate.migrate(conn)
    return urls


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_quick_way_comes_to_what_the_general_way_comes_to(
    two_databases: list[str], tmp_path: Path, seed: int
) -> None:
    story, whole = Story(seed), tmp_path / "whole"
    writer = writer_at(whole)
    for session in SESSIONS[1:]:
        spool(writer, story.hello(session))
    for _ in range(500):
        spool(writer, story.line())
    writer.heartbeat(now_us())
    writer.close()
    in_pieces(tmp_path / "pieces", whole)
    general, slow = recorded(two_databases[1], tmp_path / "pieces")
    quick, fast = recorded(two_databases[0], whole)
    assert slow.state.quick == 0 and fast.state.quick > 100
    assert len(quick["request_rows"]) > 300 and len(quick["quarantine_rows"]) > 0
    for table in TABLES:
        assert quick[table] == general[table], table


def test_sessions_that_stand_come_to_the_same(
    two_databases: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In many small batches most sessions have been written whole before: only counts and times are added."""
    monkeypatch.setattr(intake, "_READ_LINES", 20)
    touched: list[int] = []
    write = PostgresSink.write

    def watched(sink: PostgresSink, batch: Batch) -> None:
        touched.append(len(batch.touched))
        write(sink, batch)

    monkeypatch.setattr(PostgresSink, "write", watched)
    story, whole = Story(4), tmp_path / "whole"
    writer = writer_at(whole)
    for session in SESSIONS:
        spool(writer, story.hello(session))
    lines = [story.call() for _ in range(160)]
    for at in range(0, len(lines), 8):  # an exchange that began earlier may end later
        for line in story.pick.sample(lines[at:at + 8], 8):
            spool(writer, line)
    writer.heartbeat(now_us())
    writer.close()
    in_pieces(tmp_path / "pieces", whole)
    general, slow = recorded(two_databases[1], tmp_path / "pieces")
    assert slow.state.quick == 0 and sum(touched) == 0
    quick, fast = recorded(two_databases[0], whole)
    assert fast.state.quick > 60 and sum(touched) > 10
    assert quick["session_rows"] == general["session_rows"]
    assert quick["request_rows"] == general["request_rows"]


def test_a_session_that_is_gone_is_written_whole_again(two_databases: list[str], tmp_path: Path) -> None:
    """Retention took a session that stood: what is added to it finds no row, and is read again."""
    url, writer = two_databases[0], writer_at(tmp_path)
    with recording(url, tmp_path) as recorder:
        spool(writer, Story(5).hello(SESSIONS[1]))
        wait(lambda: recorder.state.rows == 1)
        for number in range(10, 14):
            spool(writer, call(number, session=SESSIONS[1], client=None))
            wait(lambda: recorder.state.rows == number - 8)  # noqa: B023 - waited for at once
        assert recorder.state.quick == 4
        assert query(url, "SELECT request_count FROM weir.session_rows") == [(5,)]
        query(url, "DELETE FROM weir.session_rows RETURNING 1")
        spool(writer, call(14, session=SESSIONS[1], client=None))

        def is_there() -> bool:
            writer.heartbeat(now_us())  # who its client is went with the row: wait until nobody can say it any more
            found = query(url, "SELECT service, source, era, request_count FROM weir.session_rows")
            return found == [("s", "header", "legacy", 1)]

        wait(is_there)
        assert query(url, "SELECT count(*) FROM weir.request_rows") == [(6,)]
    writer.close()
