"""What is read at a glance says what watching step by step says: to the fact, whatever passes, however it is cut."""

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st

from mcp_weir.keys import Keys
from mcp_weir.relay.upstream_protocol import Head
from mcp_weir.relay.watch import Recording, Watch
from mcp_weir.traffic.capture import Capture
from mcp_weir.traffic.exchange import Exchange, RequestHead
from mcp_weir.traffic.facts import Closed, Fact
from mcp_weir.traffic.glance import Glance, may_be_plain
from mcp_weir.traffic.opening import said_by
from mcp_weir.traffic.reading import Reading
from traffic.replay import FOLDER, Headers, Http, pieces, transcript

READING = Reading(Keys(b"k" * 32, "s"))
JSON = ((b"Content-Type", b"application/json"),)
V = "io.modelcontextprotocol/"


def watched(http: Http, glance: bool, cuts: int = 0, reading: Reading = READING) -> tuple[list[Fact], bool]:
    """The facts of an exchange, through the relay's Watch; and whether they came of a glance to the end."""
    lines: list[Fact] = []
    recording = Recording(lambda said: lines.extend(fact for line, _ in said for fact in line), lambda minute: None)
    path, _, query = http.target.partition("?")
    said = said_by(reading, http.method, path, query, http.headers)
    head = RequestHead(http.method, path, query, http.headers, "127.0.0.1", http.connection, 7, said=said)
    if glance:
        looked = Glance(reading, 3, head, (1_000_000, 50, 60), http.body)
        watch = Watch(None, 0, recording, looked)
    else:
        exchange = Exchange(reading, 3, head, 1_000_000, 50)
        exchange.request_chunk(http.body, 60)
        exchange.request_end(60)
        watch = Watch(exchange, 0, recording)
    kind = next((value for name, value in http.answer_headers if name.lower() == b"content-type"), b"")
    coded = any(name.lower() == b"content-encoding" for name, _ in http.answer_headers)
    answer = Head(http.status, b"", http.answer_headers, "length")
    answer.kind, answer.coded = kind, coded
    watch.response_head(answer, 70)
    for piece in pieces(http.answer, cuts or 1 << 30, random.Random(1)):
        watch.response_chunk(piece, 80)
    left = watch._glance if http.ended == "complete" else None
    glanced = left is not None and left.line(90, 9, 5) is not None
    watch.overhead_ns, watch.stall_us = 5_000, 9
    watch.close(http.ended, 90)
    assert recording.errors == 0
    return lines, glanced


def same(http: Http, reading: Reading = READING) -> None:
    """The same facts both ways, whole and in two pieces."""
    path, _, query = http.target.partition("?")
    if http.body and may_be_plain(reading, said_by(reading, http.method, path, query, http.headers)):
        for cuts in (0, max(1, len(http.answer) // 2)):
            assert watched(http, True, cuts, reading)[0] == watched(http, False, cuts, reading)[0]


def call(body: Any, answer: Any, headers: Headers = (), status: int = 200, got: Headers = JSON) -> Http:
    sent, told = (part if isinstance(part, bytes) else json.dumps(part).encode() for part in (body, answer))
    return Http("POST", "/mcp", headers, sent, status, got, told)


def asked(**more: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": 7, "method": "tools/call",
            "params": {"name": "add", "arguments": {"a": 1}, **more}}


RESULT = {"content": [{"type": "text", "text": "3"}], "isError": False}
ANSWERED = {"jsonrpc": "2.0", "id": 7, "result": RESULT}
MODERN = {V + "protocolVersion": "2026-07-28", V + "clientInfo": {"name": "c", "version": "1"},
          V + "clientCapabilities": {"sampling": {}}, "vendor": {"x": [1]}, "progressToken": 7,
          "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}
HEADERS = ((b"Mcp-Protocol-Version", b"2026-07-28"), (b"Mcp-Method", b"tools/call"), (b"Mcp-Name", b"add"))
NAMED = {**RESULT, "resultType": "complete", "_meta": {V + "serverInfo": {"name": "s", "version": "2"}}}

PLAIN = [
    call(asked(), ANSWERED),
    call(asked(), {**ANSWERED, "result": {**RESULT, "isError": True}}),
    call(asked(_meta=MODERN), {**ANSWERED, "result": NAMED}, HEADERS),
    call(asked(_meta={"traceparent": "no trace"}), ANSWERED),
    call({**asked(), "id": "a\u00e9\n"}, {**ANSWERED, "id": "a\u00e9\n"}),
    call({**asked(), "id": 1}, b'{"jsonrpc":"2.0","id":1.0,"result":{}}  '),
    call({**asked(), "id": "x" * 100}, {**ANSWERED, "id": "x" * 100}),
    call({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {"name": "\0\u20ac" * 300}}, ANSWERED),
    call(asked(arguments=None), ANSWERED),
]
NOT_PLAIN = [
    call(asked(), {"jsonrpc": "2.0", "id": 7, "error": {"code": -32602, "message": "no a: 1"}}),
    call(asked(), {**ANSWERED, "id": 8}),
    call(asked(), {**ANSWERED, "error": None}),
    call(asked(), {**ANSWERED, "result": {**RESULT, "resultType": "input_required", "requestState": "s"}}),
    call(asked(), {**ANSWERED, "result": {"task": {"taskId": "t", "status": "working"}}}),
    call(asked(), {**ANSWERED, "result": {**RESULT, "isError": "yes"}}),
    call(asked(), {**ANSWERED, "result": {**RESULT, "_meta": {V + "related-task": {"taskId": "t"}}}}),
    call(asked(), {**ANSWERED, "result": {**RESULT, "tools": []}}),
    call(asked(), {**ANSWERED, "result": [1]}),
    call(asked(), [ANSWERED]),
    call(asked(), b"<html>"),
    call(asked(), b""),
    call(asked(task={"ttl": 1}), ANSWERED),
    call(asked(requestState="s", inputResponses={"a": {}}), ANSWERED),
    call(asked(_meta={V + "related-task": {"taskId": "t"}}), ANSWERED),
    call(asked(_meta=MODERN), ANSWERED, ((b"Mcp-Protocol-Version", b"2025-11-25"),)),
    call(asked(_meta=MODERN), ANSWERED, ((b"Mcp-Protocol-Version", b"2026-07-28"), (b"Mcp-Name", b"sub"))),
    call(asked(_meta=MODERN), ANSWERED, ((b"Mcp-Name", b"=?base64?!?="),)),
    call(asked(_meta=3), ANSWERED),
    call({**asked(), "method": "tools/list"}, ANSWERED),
    call({**asked(), "id": None}, ANSWERED),
    call({**asked(), "id": [7]}, {**ANSWERED, "id": [7]}),
    call({**asked(), "jsonrpc": "1.0"}, ANSWERED),
    call({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "add"}}, ANSWERED),
    call({"jsonrpc": "2.0", "id": 7, "method": "tools/call"}, ANSWERED),
    call({"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {}}, ANSWERED),
    call([asked()], [ANSWERED]),
    call(b"\xef\xbb\xbf" + json.dumps(asked()).encode(), ANSWERED),
    call(asked(name="\ud800"), ANSWERED),
    call(asked(), ANSWERED, status=500),
    call(asked(), ANSWERED, status=202),
    call(asked(), b"data: " + json.dumps(ANSWERED).encode() + b"\n\n", got=((b"Content-Type", b"text/event-stream"),)),
    call(asked(), ANSWERED, got=(*JSON, (b"Content-Encoding", b"gzip"))),
    call(asked(), ANSWERED, got=()),
    call({"jsonrpc": "2.0", "method": "notifications/initialized"}, b"", status=202),
    call({"jsonrpc": "2.0", "id": 3, "result": {}}, b"", status=202),
]


@pytest.mark.parametrize("http", PLAIN, ids=lambda http: http.body.decode("latin-1")[:60])
def test_a_plain_call_is_read_at_a_glance(http: Http) -> None:
    facts, glanced = watched(http, True)
    assert glanced
    assert facts == watched(http, False)[0]
    assert [type(fact).__name__ for fact in facts] == ["Opened", "Request", "Answer", "Closed"]
    same(http)


@pytest.mark.parametrize("http", NOT_PLAIN, ids=lambda http: (http.body[-30:] + http.answer[-30:]).decode("latin-1"))
def test_what_is_not_plain_is_watched_step_by_step(http: Http) -> None:
    assert not watched(http, True)[1]
    same(http)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.*")), ids=lambda path: path.stem)
def test_real_traffic_says_the_same_both_ways(path: Path) -> None:
    for http in transcript(path):
        same(http)


@pytest.mark.parametrize("ended", ["client", "upstream", "drain"])
def test_an_exchange_that_is_cut_says_what_had_passed(ended: str) -> None:
    cut = Http("POST", "/mcp", (), PLAIN[0].body, 200, JSON, PLAIN[0].answer, ended)
    facts, glanced = watched(cut, True)
    assert not glanced
    assert facts == watched(cut, False)[0]
    closed = facts[-1]
    assert isinstance(closed, Closed) and closed.closed_by == ended


def test_a_call_that_takes_long_is_told_while_it_runs() -> None:
    lines: list[list[Fact]] = []
    recording = Recording(lambda said: lines.extend(line for line, _ in said), lambda minute: None)
    head = RequestHead("POST", "/mcp", "", (), None, 1, 1, said=said_by(READING, "POST", "/mcp", "", ()))
    watch = Watch(None, 0, recording, Glance(READING, 1, head, (0, 0, 0), PLAIN[0].body))
    assert watch.owes_answer
    watch.sweep()
    assert [type(fact).__name__ for fact in lines[0]] == ["Opened", "Request"]
    answer = Head(200, b"", JSON, "length")
    answer.kind = b"application/json"
    watch.response_head(answer, 5)
    watch.response_chunk(PLAIN[0].answer, 5)
    watch.close("complete", 6)
    assert [type(fact).__name__ for fact in lines[1]] == ["Answer", "Closed"]


def test_settings_that_look_into_arguments_leave_nothing_to_a_glance() -> None:
    said = said_by(READING, "POST", "/mcp", "", ())
    assert may_be_plain(READING, said)
    assert not may_be_plain(Reading(READING.keys, capture=Capture.parse("full", (), ())), said)
    assert not may_be_plain(Reading(READING.keys, handle_argument="a"), said)
    for headers in (((b"Content-Encoding", b"gzip"),), ((b"Mcp-Method", b"tools/list"),)):
        assert not may_be_plain(READING, said_by(READING, "POST", "/mcp", "", headers))
    assert not may_be_plain(READING, said_by(READING, "POST", "/messages/", "session_id=1", ()))


ids = st.one_of(st.integers(-(1 << 60), 1 << 60), st.text(max_size=70), st.floats(), st.none(), st.booleans())
junk = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=20)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=6,
)


def rarely(odd: st.SearchStrategy[Any], usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """One in twenty is odd. (one_of() takes the same strategy given twice for one.)"""
    return st.integers(0, 19).flatmap(lambda drawn: odd if drawn == 13 else usual)


def some(
    usual: dict[str, st.SearchStrategy[Any]], rare: dict[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[dict[str, Any]]:
    """The usual members, nearly always, and any of the rare ones; each mostly as it should be."""
    mostly = {name: rarely(junk, value) for name, value in (usual | rare).items()}
    whole = st.fixed_dictionaries({name: mostly[name] for name in usual})
    more = st.fixed_dictionaries({}, optional=mostly)
    return rarely(more, rarely(st.tuples(whole, more).map(lambda both: both[0] | both[1]), whole))


requests = some({
    "jsonrpc": st.just("2.0"), "id": rarely(ids, st.just(7)), "method": st.just("tools/call"),
    "params": some({"name": st.sampled_from(["add", "\u00e9", ""]), "arguments": junk}, {
        "task": junk, "requestState": st.text(max_size=5),
        "_meta": some({}, {
            V + "protocolVersion": st.sampled_from(["2026-07-28", "2025-11-25", ""]), V + "clientInfo": junk,
            V + "clientCapabilities": junk, V + "related-task": junk, "progressToken": junk,
            "traceparent": st.just(MODERN["traceparent"]),
        }),
    }),
}, {})
answers = some({
    "jsonrpc": st.just("2.0"), "id": rarely(ids, st.just(7)),
    "result": some({"content": junk, "isError": st.booleans()}, {
        "structuredContent": junk, "_meta": st.just(NAMED["_meta"]), "taskId": st.text(max_size=5),
        "resultType": st.sampled_from(["complete", "complete", "input_required", "task"]),
    }),
}, {"error": junk})
heads = st.lists(st.sampled_from([
    *HEADERS, (b"Mcp-Protocol-Version", b"2025-06-18"), (b"mcp-name", b"=?base64?YWRk?="), (b"Mcp-Session-Id", b"s"),
    (b"Authorization", b"Bearer t"),
]), max_size=4).map(tuple)


@given(requests, answers, heads, st.sampled_from([0, 0, 0, 1, 2]), st.randoms(use_true_random=False))
@example(asked(), ANSWERED, (), 0, random.Random(0))
@settings(max_examples=300, deadline=None)
def test_whatever_passes_is_said_alike(
    request: dict[str, Any], answer: dict[str, Any], headers: Headers, damage: int, chance: random.Random
) -> None:
    body, told = (json.dumps(said).encode() for said in (request, answer))
    for _ in range(damage):  # a byte of either becomes another: mostly no JSON, at times another one
        at = chance.randrange(len(told))
        told = told[:at] + bytes([chance.choice(b'{}[]",:0\\\xff\0 ')]) + told[at + 1 :]
        at = chance.randrange(len(body))
        body = body[:at] + bytes([chance.choice(b'{}[]",:0\\\xff\0 ')]) + body[at + 1 :]
    passed = call(body, told, headers)
    same(passed)
    event(f"read at a glance: {watched(passed, True)[1]}")
