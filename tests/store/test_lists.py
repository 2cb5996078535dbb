"""Lists by keyset, one request or session whole, the order of commits, recording, alerts."""

import uuid
from datetime import timedelta

import psycopg
import pytest
from tests.store.conftest import NOW, SERVICE, World

from mcp_weir.store import reads
from mcp_weir.store.shapes import DAY, HOUR, MINUTE, Filter, Page, Thresholds, Window, to_json

DAY_NOW = Window.last(DAY, NOW + MINUTE)


async def test_pages_of_requests_hold_each_row_once(world: World, conn: psycopg.AsyncConnection) -> None:
    for number in range(23):  # several at the same moment, some without a duration
        world.request(started_at=NOW - timedelta(minutes=number // 4), tokens_in=number % 2,
                      duration_ms=None if number % 5 == 0 else number % 3)
    world.store()
    for sort in (way + name for name in reads.REQUEST_SORTS for way in ("", "-")):
        seen, cursor = [], None
        while True:
            page: Page = await reads.requests(conn, DAY_NOW, sort=sort, cursor=cursor, limit=4)
            seen += [row.request_key for row in page.items]
            cursor = page.next
            if cursor is None:
                break
        assert sorted(seen) == sorted(row["request_key"] for row in world.rows), sort


async def test_what_cannot_be_asked_is_a_value_error(conn: psycopg.AsyncConnection) -> None:
    for wrong in ("target; DROP TABLE weir.request_rows", "", "-", "started_at DESC"):
        with pytest.raises(ValueError, match="cannot sort"):
            await reads.requests(conn, DAY_NOW, sort=wrong)
        with pytest.raises(ValueError, match="cannot sort"):
            await reads.sessions(conn, DAY_NOW, sort=wrong)
    for wrong in ("x", "e30", "WzFd", "//", "\u2603"):
        with pytest.raises(ValueError, match="cursor"):
            await reads.requests(conn, DAY_NOW, cursor=wrong)
        with pytest.raises(ValueError, match="cursor"):
            await reads.coverage(conn, DAY_NOW, cursor=wrong)


FAILURES = (
    ({"outcome": "tool_error"}, "tool", "server"),
    ({"outcome": "rpc_error", "error_code": -32602}, "rpc", "client"),
    ({"outcome": "rpc_error", "error_code": -32603}, "rpc", "server"),
    ({"outcome": "http_error", "http_status": 401}, "http", "client"),
    ({"outcome": "http_error", "http_status": 500}, "http", "server"),
    ({"outcome": "http_error", "http_status": 502, "error_message": "upstream connect"}, "connection", "network"),
    ({"outcome": "http_error", "http_status": None}, "connection", "network"),
    ({"outcome": "upstream_aborted"}, "connection", "network"),
    ({"outcome": "interrupted", "http_status": None}, "connection", "weir"),
    ({"outcome": "no_answer"}, "connection", "server"),
    ({"outcome": "cancelled"}, None, None),
    ({"outcome": "ok"}, None, None),
)


async def test_a_failure_has_a_layer_and_a_fault(world: World, conn: psycopg.AsyncConnection) -> None:
    keys = [world.request(**row) for row, _, _ in FAILURES]
    world.store()
    for key, (_, layer, fault) in zip(keys, FAILURES, strict=True):
        found = await reads.request(conn, key)
        assert found is not None and (found.row.layer, found.row.fault) == (layer, fault), found.row.outcome
    groups = {g.last_request_key: (g.layer, g.fault, g.count) for g in await reads.errors(conn, DAY_NOW)}
    assert groups == {key: (layer, fault, 1) for key, (_, layer, fault) in zip(keys, FAILURES, strict=True) if layer}
    for layer, fault in {(layer, fault) for _, layer, fault in FAILURES if layer}:
        where = Filter(layer=layer, fault=fault)
        want = [row for row in FAILURES if row[1:] == (layer, fault)]
        assert len((await reads.requests(conn, DAY_NOW, where)).items) == len(want)
        assert len(await reads.errors(conn, DAY_NOW, where)) == len(want)


async def test_like_failures_are_one_group(world: World, conn: psycopg.AsyncConnection) -> None:
    for number in range(6):
        world.request(outcome="rpc_error", error_code=-32602, error_message=f"field {number} is missing",
                      client_label="claude" if number % 2 else "cursor")
    world.store()
    (group,) = await reads.errors(conn, DAY_NOW)
    assert (group.count, group.message, group.clients) == (6, "field # is missing", ("claude", "cursor"))
    assert await reads.errors(conn, DAY_NOW, Filter(text="is miss")) == (group,)
    assert await reads.errors(conn, DAY_NOW, Filter(text="%")) == ()  # a wildcard is a letter


async def test_a_session_whole(world: World, conn: psycopg.AsyncConnection) -> None:
    key = world.session()
    before = world.session(started_at=NOW - HOUR, last_seen_at=NOW - timedelta(minutes=30))
    after = world.session(previous_session_key=key)
    with psycopg.connect(world.url) as own:
        own.execute("UPDATE weir.session_rows SET previous_session_key = %s WHERE session_key = %s", (before, key))
    start, operation = NOW - timedelta(minutes=10), uuid.uuid4()
    world.request(session_key=key, started_at=start, method="initialize", target=None)
    world.request(session_key=key, started_at=start + timedelta(seconds=1), method="tools/list", target=None,
                  tokens_out=700)
    world.request(session_key=key, started_at=start + timedelta(seconds=2), request_key=operation, end_ms=30.0)
    world.request(session_key=key, started_at=start + timedelta(seconds=3), direction="server",
                  method="elicitation/create", target=None)
    world.request(session_key=key, started_at=start + timedelta(seconds=4), operation_key=operation,
                  outcome="tool_error")
    world.request(session_key=uuid.uuid4(), started_at=start)
    world.store()
    world.insert("stream_rows", {"stream_key": uuid.uuid4(), "service": SERVICE, "instance": "i", "session_key": key,
                                 "kind": "get", "opened_at": start + timedelta(seconds=1.5), "events": 3, "bytes": 9})
    found = await reads.session(conn, key)
    assert found is not None
    assert [(item.kind, item.round, item.is_error) for item in found.timeline] == [
        ("request", 0, False), ("request", 0, False), ("stream", 0, False), ("request", 1, False),
        ("server_request", 0, False), ("request", 2, True)]
    assert [item.offset_ms for item in found.timeline] == [0, 1000, 1500, 2000, 3000, 4000]
    assert found.timeline[3].length_ms == 30 and found.timeline[2].length_ms is None
    assert found.context_tokens == 700 and [(t.name, t.count, t.errors) for t in found.tools] == [("add", 2, 1)]
    assert found.predecessor is not None and found.predecessor.session_key == before
    assert found.successor is not None and found.successor.session_key == after
    walked, cursor = [], None
    while True:
        piece = await reads.session(conn, key, cursor=cursor, limit=2)
        assert piece is not None
        walked += [item.at for item in piece.timeline]
        cursor = piece.next
        if cursor is None:
            break
    assert walked == [item.at for item in found.timeline]
    assert [s.session_key for s in await reads.find_sessions(conn, str(key)[:9])] == [key]
    request = await reads.request(conn, operation)
    assert request is not None and len(request.rounds) == 2
    to_json(found)


async def test_sessions_are_filtered_and_paged(world: World, conn: psycopg.AsyncConnection) -> None:
    ghost = world.session(tool_call_count=0, call_count=0, request_count=1, last_seen_at=NOW - timedelta(minutes=20))
    modern = world.session(era="modern", source="client", confidence=0.4, protocol_version="2026-07-28", error_count=2,
                           principal_key=b"\x01\x02", principal="ann@example.org")
    old = world.session(started_at=NOW - 3 * DAY, last_seen_at=NOW - 2 * DAY)
    keys = {where: {s.session_key for s in (await reads.sessions(conn, DAY_NOW, where)).items} for where in (
        Filter(), Filter(ghosts=True), Filter(ghosts=False), Filter(era="modern"), Filter(source="client"),
        Filter(errors=True), Filter(principal="ann@example.org"), Filter(principal="0102"), Filter(text="ANN@"),
        Filter(client="nobody"))}
    assert list(keys.values()) == [{ghost, modern}, {ghost}, {modern}, *[{modern}] * 6, set()]
    week = Window.last(7 * DAY, NOW + MINUTE)
    first = await reads.sessions(conn, week, limit=2)
    assert first.next is not None
    assert [s.session_key for s in (await reads.sessions(conn, week, cursor=first.next)).items] == [old]
    (user,) = await reads.principals(conn, DAY_NOW)
    assert (user.principal_key, user.principal, user.errors) == ("0102", "ann@example.org", 2)
    today = await reads.seen(conn, DAY_NOW)
    assert {(share.era, share.sessions) for share in today.eras} == {("legacy", 1), ("modern", 1)}
    assert sum(p.legacy + p.modern for p in (await reads.seen(conn, week)).era_series) == 3


async def test_a_late_commit_is_followed_once(world: World, conn: psycopg.AsyncConnection) -> None:
    first = world.request(started_at=NOW - HOUR)
    world.store()
    week = Window(NOW - 7 * DAY, NOW + DAY, HOUR)
    start = await reads.follow(conn, None, week)
    assert [row.request_key for row in start.rows] == [first]
    with psycopg.connect(world.url) as slow, psycopg.connect(world.url) as quick:
        early = world.request(started_at=NOW - timedelta(minutes=30), service="other:1")
        world.store(slow)  # begun first, commits last
        late = world.request(started_at=NOW - timedelta(minutes=20))
        world.store(quick)
        quick.commit()
        second = await reads.follow(conn, start.mark, week)
        assert [row.request_key for row in second.rows] == [late]
        again = await reads.follow(conn, second.mark, week)
        assert again.rows == ()
        slow.commit()
    third = await reads.follow(conn, again.mark, week)
    assert [row.request_key for row in third.rows] == [early]
    assert (await reads.follow(conn, third.mark, week)).rows == ()


async def test_what_was_not_recorded_shows_as_a_gap(world: World, conn: psycopg.AsyncConnection) -> None:
    begin = (NOW - timedelta(minutes=9)).replace(second=0)
    for minute, dropped in enumerate(({}, {"disk_full": 3}, {"disk_full": 1, "queue": 2}, {}, {"queue": 4}, {})):
        lost = sum(dropped.values())
        world.insert("coverage_rows", {
            "stream": uuid.UUID(int=1), "minute": begin + minute * MINUTE, "service": SERVICE, "instance": "i",
            "seen": 10 + lost, "spooled": 9, "stored": 8, "quarantined": 0,
            "dropped": psycopg.types.json.Jsonb(dropped)})
    found = await reads.health(conn, DAY_NOW)
    assert (found.seen, found.stored, found.waiting, found.open, found.dropped) == (70, 48, 6, 6, 10)
    assert found.seen == found.stored + found.waiting + found.open + found.dropped + found.quarantined
    assert [(gap.since - begin, gap.until - gap.since, gap.lost, gap.reasons) for gap in found.gaps] == [
        (4 * MINUTE, MINUTE, 4, {"queue": 4}), (MINUTE, 2 * MINUTE, 6, {"disk_full": 4, "queue": 2})]
    minutes = await reads.coverage(conn, DAY_NOW, limit=4)
    rest = await reads.coverage(conn, DAY_NOW, cursor=minutes.next, limit=4)
    assert [row.dropped for row in (*minutes.items, *rest.items)] == [0, 4, 0, 3, 3, 0]
    points = await reads.series(conn, Window.last(HOUR, NOW + MINUTE))
    assert sum(not point.recorded for point in points) == 3
    kinds = [alert.kind for alert in await reads.alerts(conn, Thresholds(), now=NOW)]
    assert kinds == ["recording_gap", "recording_gap"]


async def test_alerts_speak_of_the_last_quarter_of_an_hour(world: World, conn: psycopg.AsyncConnection) -> None:
    for number in range(40):
        world.request(started_at=NOW - timedelta(seconds=10 * number), outcome="tool_error" if number % 2 else "ok",
                      target="slow" if number % 2 else "add", duration_ms=9000.0 if number % 2 else 3.0)
    for number in range(24):
        world.request(started_at=NOW - timedelta(minutes=20 + number))
    world.store()
    found = await reads.alerts(conn, Thresholds(), now=NOW)
    assert [(a.kind, a.subject, a.severity) for a in found] == [
        ("error_rate", "", "critical"), ("slow_tool", "slow", "warning"), ("spike", "", "warning")]
    assert await reads.alerts(conn, Thresholds(error_rate=0.9, slow_ms=1e5, spike=100), now=NOW) == ()
    assert await reads.alerts(conn, Thresholds(), Filter(service="another"), now=NOW) == ()


async def test_the_ledger_knows_what_is_never_called(world: World, conn: psycopg.AsyncConnection) -> None:
    for name, tokens in (("add", 50), ("unused", 400)):
        world.insert("catalog_rows", {
            "service": SERVICE, "content_hash": name.encode(), "tool": name, "tokens": tokens,
            "first_seen": NOW - 2 * DAY, "last_seen": NOW, "times_listed": 9, "schema_hash": b"s", "description": "d"})
    world.session()
    world.request(method="tools/list", target=None, tokens_out=450)
    world.request()
    world.store()
    found = await reads.ledger(conn, DAY_NOW)
    assert (found.lists, found.tokens, found.sessions, found.per_session) == (1, 450, 1, 450.0)
    assert [(entry.tool, entry.calls) for entry in found.entries] == [("unused", 0), ("add", 1)]
    assert [entry.tool for entry in found.never_called] == ["unused"]
    assert {tool.name: tool.totals.calls for tool in await reads.tools(conn, DAY_NOW)} == {"add": 1, "unused": 0}


async def test_a_user_is_found_by_name_and_by_key(world: World, conn: psycopg.AsyncConnection) -> None:
    ann = world.session(principal_key=b"\xab", principal="ann@example.org")
    mine = world.request(session_key=ann, principal_key=b"\xab")
    world.request(principal_key=b"\xcd")
    world.request()
    world.store()
    for said, want in (("ann@example.org", {mine}), ("ab", {mine}), ("nobody", set()), ("ef", set())):
        found = (await reads.requests(conn, DAY_NOW, Filter(principal=said))).items
        assert {row.request_key for row in found} == want, said


async def test_search_takes_words_as_they_are(world: World, conn: psycopg.AsyncConnection) -> None:
    key = world.session(client_label="we%ird_client", principal_key=b"\xab", principal="ann@example.org")
    request = world.request(target="needle", error_message="100% broken", outcome="tool_error", session_key=key)
    world.store()
    for words, want in (("needle", {("request", str(request))}), ("100%", {("request", str(request))}),
                        ("E%IRD", {("client", "we%ird_client")}), (str(key)[:13], {("session", str(key))}),
                        ("ann@", {("principal", "ab")}), (str(request), {("request", str(request))}),
                        ("_", {("client", "we%ird_client")}), ("\0", set()), ("nothing", set())):
        assert {(hit.kind, hit.key) for hit in await reads.search(conn, DAY_NOW, words)} == want, words
