"""Two replicas, two recorders, one Postgres: whoever read what when, the rows and sessions are the same."""

import contextlib
import random
import uuid
from collections import defaultdict
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mcp_weir.attribution.conversations import Scope
from mcp_weir.attribution.derived import Queued, settle
from mcp_weir.attribution.evidence import asked_of, belongs, counted_of, lead_key, scope_of
from mcp_weir.attribution.joins import Joiner
from mcp_weir.attribution.verdicts import Row
from mcp_weir.sinks.settler import _COLUMNS, Stored
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.traffic.facts import Line
from spooling import query, recording, wait

from .script import BASE_US, SESSION, Exchange, call, initialize, origin
from .workload import SCENARIOS, WINDOW_US, Kind, Scenario, Sent

FAR_US = 1 << 62
LATER = uuid.uuid5(uuid.NAMESPACE_URL, "later")


class Replicas:
    """Two data directories with two workers each."""

    def __init__(self, tmp_path: Path) -> None:
        self.roots = [tmp_path / "one", tmp_path / "two"]
        self.writers = []
        for n in range(4):
            self.roots[n % 2].mkdir(exist_ok=True)
            self.writers.append(SpoolWriter(self.roots[n % 2], service="svc", instance=f"i{n % 2}", key_id="k"))
            self.writers[-1].heartbeat(BASE_US - 60_000_000)

    def write(self, worker: int, line: Line, wall_us: int) -> None:
        self.writers[worker].offer(line, 5)
        self.writers[worker].heartbeat(wall_us)

    def close(self, *workers: int) -> None:
        for worker in workers or range(4):
            self.writers[worker].close()


def settled(url: str, requests: int) -> bool:
    (rows, queued), = query(url, "SELECT (SELECT count(*) FROM weir.request_rows),"
                                 " (SELECT count(*) FROM weir.derived_queue)")
    return rows == requests and queued == 0


def both_have_read(url: str) -> None:
    """Each has said of its streams that they are there: from then on the watermark waits for them."""
    wait(lambda: query(url, "SELECT count(*) FROM weir.stream_marks") == [(4,)])


def from_scratch(url: str) -> dict[uuid.UUID, uuid.UUID]:
    """What is derived from the stored rows alone, all at once."""
    scopes: dict[bytes, list[Queued]] = defaultdict(list)
    for values in query(url, f"SELECT {_COLUMNS} FROM weir.request_rows WHERE session_key IS NULL"):
        row = Stored(*values)
        at_us = round(row.started_at.timestamp() * 1e6)
        if belongs(row):
            scopes[scope_of(row)].append(Queued(
                len(scopes), at_us, row.request_key, lead_key(row.request_key), asked_of(row, at_us),
                counted_of(row, at_us)))
    mapping: dict[uuid.UUID, uuid.UUID] = {}
    for queued in scopes.values():
        found = settle(Scope(), queued, {}, FAR_US, WINDOW_US)
        mapping |= {key: session for key, (_, session) in found.mapping.items()}
    return mapping


def in_portions(replicas: Replicas, sent: list[Sent], seed: int, workers: int = 4) -> None:
    """Each connection at one worker; the workers' streams grow at different paces."""
    rng = random.Random(seed)
    where: dict[int, int] = {}
    lines: dict[int, list[tuple[Line, int]]] = defaultdict(list)
    for number, one in enumerate(sent, 1):
        worker = where.setdefault(one.connection, rng.randrange(workers))
        lines[worker].append((one.line(number), one.at_us))
    while any(lines.values()):
        worker = rng.choice([w for w, left in lines.items() if left])
        for line, wall_us in lines[worker][:rng.randrange(1, 30)]:
            replicas.write(worker, line, wall_us)
            lines[worker].pop(0)


CROWD = [
    Scenario("crowd", Kind(concurrency=2), 4), Scenario("nat", Kind(), 4, principals="none"),
    Scenario("each", Kind(proxied=True), 3, principals="each"), Scenario("uuid", Kind(ids="uuid"), 3),
    SCENARIOS[1], Scenario("handles", Kind(handle="argument", proxied=True), 3),
]


def crowd(seed: int) -> list[Sent]:
    """Several places at once; connections of different places are different."""
    sent = []
    for n, scenario in enumerate(CROWD):
        for one in scenario.play(seed):
            one.connection += n * 100_000
            one.address = f"10.0.{n}.1"
            one.principal = None if one.principal is None else b"%d-%b" % (n, one.principal)
            sent.append(one)
    return sorted(sent, key=lambda one: one.at_us)


@pytest.mark.parametrize("seed", [1, 2])
def test_sessions_derived_by_two_recorders_are_those_derived_from_scratch(
    database_url: str, tmp_path: Path, seed: int
) -> None:
    replicas, sent = Replicas(tmp_path), crowd(seed)
    with recording(database_url, replicas.roots[0]), recording(database_url, replicas.roots[1]):
        both_have_read(database_url)
        in_portions(replicas, sent, seed)
        replicas.close()
        wait(lambda: settled(database_url, len(sent)), 60)
    assert_like_from_scratch(database_url)


def test_a_replica_that_was_cut_off_has_its_conversations_derived_again(database_url: str, tmp_path: Path) -> None:
    replicas, sent = Replicas(tmp_path), crowd(3)
    in_portions(replicas, sent, 3)
    replicas.close()
    with recording(database_url, replicas.roots[0]):
        wait(lambda: query(database_url, "SELECT count(*) FROM weir.derived_queue") == [(0,)]
             and query(database_url, "SELECT count(*) > 0 FROM weir.derived_requests") == [(True,)], 60)
    before = query(database_url, "SELECT count(*) FROM weir.sessions")
    with recording(database_url, replicas.roots[1]):
        wait(lambda: settled(database_url, len(sent)), 60)
    assert before != query(database_url, "SELECT count(*) FROM weir.sessions")
    assert_like_from_scratch(database_url)


def assert_like_from_scratch(url: str) -> None:
    mapping, scratch = dict(query(url, "SELECT request_key, session_key FROM weir.derived_requests")), from_scratch(url)
    differ = [key for key in scratch if mapping.get(key) != scratch[key]]
    assert not differ, (len(differ), len(scratch), query(
        url, "SELECT started_at, jsonrpc_id, method, client_name, remote_addr, principal_key, connection, stream"
        " FROM weir.request_rows WHERE request_key = ANY(%s) ORDER BY 1", differ))
    counted = query(url, "SELECT session_key, count(*), sum(request_bytes)::int, min(started_at), max(started_at)"
                         " FROM weir.requests GROUP BY 1 ORDER BY 1")
    assert counted == query(url, "SELECT session_key, request_count, request_bytes::int, started_at, last_seen_at"
                                 " FROM weir.sessions ORDER BY 1")
    assert query(url, "SELECT count(*) FROM weir.sessions s JOIN weir.requests r USING (session_key)"
                      " WHERE s.principal_key IS DISTINCT FROM r.principal_key") == [(0,)]


def legacy() -> list[tuple[int, float, Line]]:
    """A legacy session with everything that spans exchanges: (exchange, second, line)."""
    said: list[tuple[int, float, Line]] = []

    def say(at: float, line: Line) -> None:
        said.append((line[0].exchange, at, line))

    say(0, initialize(0))
    tool, post = Exchange(1), Exchange(3)
    say(1, [*tool.open(), *tool.asks(1)])
    say(2, tool.server_asks(1, at=2))
    say(3, [*post.open(), *post.answers(1, at=3, member=None, direction="server"), *post.closes(3.01, status=202)])
    say(4, [*tool.answers(1, at=4), *tool.closes(4)])
    early, again, more = Exchange(5), Exchange(8, "GET", resumes=b"e0"), Exchange(10, "GET", resumes=b"e1")
    say(5, [*early.open(), *early.asks(2), *early.event_ids("e0"), *early.closes(6, response_kind="sse")])
    say(8, [*again.open(), *again.event_ids("e1"), *again.closes(9, response_kind="sse")])
    say(10, [*more.open(), *more.answers(2, at=10.5, member=None), *more.closes(11, response_kind="sse")])
    slow, notice = Exchange(12), Exchange(13)
    say(12, [*slow.open(), *slow.asks(3)])
    say(13, [*notice.open(), *notice.cancels(3, at=13), *notice.closes(13.01, status=202)])
    say(14, [*slow.answers(3, at=14, outcome="rpc_error", error_code=0), *slow.closes(14)])
    left = Exchange(15)
    say(15, [*left.open(), *left.asks(4), *left.event_ids("z"), *left.closes(16, by="client", response_kind="sse")])
    say(17, call(5, 17, answered={"task": b"t", "task_status": "working"}))
    say(18, call(6, 18, method="tasks/get", task=b"t", answered={"task": b"t", "task_status": "working"}))
    say(19, call(7, 19, method="tasks/result", task=b"t", outcome="tool_error"))
    bye = Exchange(20, "DELETE")
    say(20, [*bye.open(), *bye.closes(20.01)])
    say(30, call(1, 30, session=None, principal_key=b"p", outcome="input_required", answered={"input_keys": ("k",)}))
    say(35, call(2, 35, session=None, principal_key=b"p", input_keys=("k",)))
    say(40, call(3, 40, session=None, principal_key=b"p", outcome="input_required", answered={"state_hash": b"s"}))
    say(45, call(4, 45, session=None, principal_key=b"p", state_hash=b"s"))
    return said


def facts_of(row: Any, operations: dict[uuid.UUID, tuple[int, int]]) -> tuple[Any, ...]:
    """What must be equal whoever recorded it."""
    duration = None if row.duration_ms is None else round(row.duration_ms, 3)
    return (place(row.request_key), row.direction, row.method, row.jsonrpc_id, row.outcome, duration, row.flags,
            row.session_key, row.error_code, row.client_name, operations.get(row.operation_key))


def place(key: uuid.UUID) -> tuple[int, int]:
    return (key.int >> 24) & 0x3F_FFFF_FFFF, key.int & 0xFF_FFFF


def expected(said: list[tuple[int, float, Line]]) -> list[tuple[Any, ...]]:
    joiner = Joiner()
    for _, _, line in said:
        joiner.take(origin(), line)
    joiner.settle(BASE_US + 50_000_000)
    for_session: Joiner = Joiner()
    for _, _, line in said:
        for_session.take(origin(), line)
    first = for_session.settle(BASE_US + 50_000_000)
    for_session.session_ended(SESSION, BASE_US + 20_010_000, None)
    rows: list[Row] = [row for found in (first, for_session.settle(BASE_US + 60_000_000)) for row, _ in found.rows]
    operations = {row.request_key: place(row.request_key) for row in rows}
    return sorted(facts_of(row, operations) for row in rows)


@pytest.mark.parametrize("seed", range(4))
def test_a_legacy_session_spread_over_two_replicas_is_told_as_if_one_had_seen_it(
    database_url: str, tmp_path: Path, seed: int
) -> None:
    rng, replicas, said = random.Random(seed), Replicas(tmp_path), legacy()
    where = {exchange: rng.randrange(4) for exchange, _, _ in said}
    portions: dict[int, list[tuple[float, Line]]] = defaultdict(list)
    for exchange, at, line in said:
        portions[where[exchange]].append((at, line))
    want = expected(said)
    with contextlib.ExitStack() as stack:
        stack.enter_context(recording(database_url, replicas.roots[seed % 2]))
        with recording(database_url, replicas.roots[1 - seed % 2]):
            both_have_read(database_url)
        order = [worker for worker, lines in portions.items() for _ in lines]
        rng.shuffle(order)
        for n, worker in enumerate(order):
            at, line = portions[worker].pop(0)
            replicas.write(worker, line, BASE_US + int((at + 1) * 1e6))
            if n == len(order) // 2:
                stack.enter_context(recording(database_url, replicas.roots[1 - seed % 2]))
        for worker in range(4):
            replicas.writers[worker].heartbeat(BASE_US + 90_000_000)
        wait(lambda: query(database_url, "SELECT count(*) FROM weir.request_rows") == [(len(want),)], 60)
        replicas.close()
    assert told(database_url) == want
    (session,) = query(database_url, "SELECT session_key, source, client_name, status, end_reason, server_name,"
                                     " ghost, (SELECT count(*) FROM weir.pending_requests) FROM weir.sessions"
                                     " WHERE source = 'header'")
    assert session == (SESSION, "header", "c", "ended", "client_delete", "srv", False, 0)
    resumed = query(database_url, "SELECT kind, resumed_from IS NOT NULL FROM weir.streams ORDER BY opened_at")
    assert [kind for kind, _ in resumed] == ["resumed", "resumed"]


def told(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as conn, conn.cursor(row_factory=psycopg.rows.namedtuple_row) as cur:
        rows = cur.execute("SELECT * FROM weir.request_rows").fetchall()
    operations = {row.request_key: place(row.request_key) for row in rows}
    return sorted(facts_of(row, operations) for row in rows)
