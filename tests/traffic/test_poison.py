"""Poison: what breaks parsers, databases and those who trust either. Never an exception, never without bounds."""

import json
import random
import tracemalloc

import msgspec
import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_weir.keys import Keys
from mcp_weir.traffic.capture import Capture
from mcp_weir.traffic.exchange import Exchange, RequestHead
from mcp_weir.traffic.facts import Answer, Closed, Line, Opened, Request
from mcp_weir.traffic.reading import Reading
from traffic.replay import Http, feed

KEYS = Keys(b"k" * 32, "s")
FULL = Reading(KEYS, body_limit=1 << 16, capture=Capture.parse("full", (), ()), handle_argument="a")
# in the manner of JSONTestSuite: y_ must be taken, n_ must be refused, i_ is the reader's choice
VALUES = [
    b'"\\u0000"', b'"\\ud800"', b'"\\udfff\\ud800"', b'"\\ud83d\\ude00"', b'"\xff"', b'"\xed\xa0\x80"', b'"\xc0\x80"',
    b'"\xf4\xbf\xbf\xbf"', b"1e400000", b"-1e400000", b"1e-400000", b"9" * 400, b"-" + b"9" * 5000, b"0.1e1", b"-0",
    b"1.0", b"01", b"1.", b".1", b"+1", b"NaN", b"Infinity", b"-Infinity", b"0x1", b"1e", b"tru", b"nul", b"[1,]",
    b'{"a":1,}', b'{"a":1 "b":2}', b'{"a"}', b"{a:1}", b"[" * 500 + b"]" * 500, b"[" * 100_000, b'{"":' * 2000,
    b'{"a":1,"a":2}', b'{"\\u0000":1}', b'{"\\ud800":1}', b'"\t"', b'"\n"', b"'a'", b'"\\x41"', b'"\\u00"', b'"',
    b"\xfe\xff", b"\xef\xbb\xbf1", b"[1]]", b"//c\n1", b"", b" ", b"\0", b'"\x7f"', b'"' + b"x" * 70_000 + b'"',
    b"[" + b"1," * 9000 + b"1]",
]
PLACES = [
    b'{"jsonrpc":"2.0","id":%b,"method":"tools/call","params":{"name":"t","arguments":{}}}',
    b'{"jsonrpc":"2.0","id":1,"method":%b}',
    b'{"jsonrpc":%b,"id":1,"method":"m"}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":%b}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":%b}}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","arguments":{"a":%b}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"resources/read","params":{"uri":%b}}',
    b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","_meta":%b,"task":%b,"requestState":%b}}',
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"clientInfo":%b,"capabilities":%b,"protocolVersion":%b}}',
    b'{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"clientInfo":{"name":%b},"capabilities":{"a":%b}}}',
    b'{"jsonrpc":"2.0","id":1,"method":"tasks/get","params":{"taskId":%b,"inputResponses":%b}}',
    b'{"jsonrpc":"2.0","id":1,"result":%b}',
    b'{"jsonrpc":"2.0","id":1,"result":{"isError":%b,"resultType":%b,"_meta":%b,"taskId":%b,"task":%b,"tools":%b}}',
    b'{"jsonrpc":"2.0","id":1,"result":{"tools":[{"name":%b,"inputSchema":%b,"description":%b}],"inputRequests":%b}}',
    b'{"jsonrpc":"2.0","id":1,"error":%b}',
    b'{"jsonrpc":"2.0","id":1,"error":{"code":%b,"message":%b}}',
    b'{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%b}}',
    b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":%b}}',
    b"[%b,%b]", b"%b",
]
ASK = b'{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{}}'


def watched(body: bytes, answer: bytes, kind: bytes = b"application/json", how: Reading = FULL) -> list:
    got = ((b"Content-Type", kind), (b"Mcp-Session-Id", b"s"))
    facts = feed(how, 1, Http("POST", "/mcp", (), body, 200, got, answer), 1 << 30, random.Random(0))
    assert isinstance(facts[0], Opened) and isinstance(facts[-1], Closed)
    line = msgspec.json.encode(facts)
    assert msgspec.json.decode(line, type=Line) == facts
    for fact in facts:
        for name in fact.__struct_fields__:
            holds(getattr(fact, name), name)
    return facts


def holds(value: object, name: str) -> None:
    """Postgres takes it: text without NUL and surrogates, and bounded; JSON text that jsonb parses."""
    if isinstance(value, str):
        value.encode()
        is_json = name in ("arguments", "result", "capabilities")
        assert "\0" not in value and len(value) <= (1 << 19 if is_json else 300)
        if is_json:
            json.loads(value, parse_constant=pytest.fail, parse_float=finite)
            assert "\\u0000" not in value.replace("\\\\", "")
    elif isinstance(value, int):
        assert abs(value) < 1 << 63


def finite(text: str) -> float:
    assert abs(float(text)) < 1e309, text
    return float(text)


@pytest.mark.parametrize("place", PLACES, ids=range(len(PLACES)))
def test_poison_in_every_place(place: bytes) -> None:
    for value in VALUES:
        said = place.replace(b"%b", value)
        watched(said, said)
        watched(ASK, said)
        watched(ASK, b"data: " + said.replace(b"\n", b" ") + b"\n\n", b"text/event-stream")
        watched(b"[" + ASK + b"," + said + b"]", b"[" + said + b"]")


def test_a_poisoned_argument_hides_nothing_else() -> None:
    for value in (b'"\\u0000"', b'"\\ud800"', b"1e400000", b"9" * 5000, b'"\xff"', b"[" * 400 + b"]" * 400):
        body = PLACES[5].replace(b"%b", value)
        facts = watched(body, b'{"jsonrpc":"2.0","id":1,"result":{"isError":true,"content":%b}}'.replace(b"%b", value))
        asked, answered = facts[1:3]
        assert isinstance(asked, Request) and (asked.method, asked.target) == ("tools/call", "t")
        assert isinstance(answered, Answer) and (answered.member, answered.outcome) == (0, "tool_error")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
    | st.sampled_from(["2.0", "tools/call", "initialize", "tasks/get", "input_required", "task", "completed"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from("jsonrpc id method params result error _meta name arguments uri task taskId status tools code"
                        " message requestState inputRequests inputResponses isError resultType clientInfo".split())
        | st.text(max_size=5), inner, max_size=6),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(JSON, JSON, st.sampled_from([b"application/json", b"text/event-stream"]))
def test_any_json_at_all(asked: object, answered: object, kind: bytes) -> None:
    body, answer = json.dumps(asked).encode(), json.dumps(answered).encode()
    watched(body, b"data: " + answer + b"\n\n" if kind == b"text/event-stream" else answer, kind)


def test_memory_of_an_exchange_is_bounded() -> None:
    how = Reading(KEYS, body_limit=1 << 17)
    sse = b"text/event-stream"
    for kind, piece in ((b"application/json", b"x" * 65_536), (sse, b"x" * 65_536), (sse, b"data: x\nid: 1\n" * 1500)):
        tracemalloc.start()
        exchange = Exchange(how, 1, RequestHead("POST", "/mcp", "", (), None, 1, 0), 1, 0)
        for _ in range(10):
            exchange.request_chunk(b"y" * 65_536, 1)
        exchange.request_end(1)
        exchange.response_head(200, ((b"content-type", kind),), 1)
        for _ in range(20):
            exchange.response_chunk(piece, 1)
        facts = exchange.close("complete", 2)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2 << 20, (kind, piece[:8], peak)
        assert "oversized" in facts[-1].flags


def test_a_stream_of_a_million_messages_keeps_nothing() -> None:
    exchange = Exchange(FULL, 1, RequestHead("GET", "/mcp", "", ((b"mcp-session-id", b"s"),), None, 1, 0), 1, 0)
    exchange.response_head(200, ((b"content-type", b"text/event-stream"),), 1)
    asked = b'data: {"jsonrpc":"2.0","id":%d,"method":"ping"}\n\n'
    told = b'data: {"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":%d}}\n\n'
    for turn in range(3):
        for n in range(1000):
            exchange.response_chunk(asked % n + told % (turn * 1000 + n), 1)
        if turn == 0:
            tracemalloc.start()
    grown = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert grown < 200_000


def test_what_could_not_be_read_was_still_an_answer() -> None:
    how = Reading(KEYS, body_limit=2000)
    large = b'{"jsonrpc":"2.0","id":1,"result":{"content":"' + b"x" * 3000 + b'"}}'
    for answer, kind in ((large, b"application/json"), (b"data: " + large + b"\n\n", b"text/event-stream")):
        facts = watched(ASK, answer, kind, how)
        (answered,) = [fact for fact in facts if isinstance(fact, Answer)]
        assert (answered.member, answered.outcome, answered.size > 3000) == (0, "ok", True)
        assert facts[-1].flags == ("oversized",)
    facts = feed(how, 1, Http("POST", "/mcp", (), ASK, 200, (
        (b"Content-Type", b"application/json"), (b"Content-Encoding", b"exotic")), b"???"), 1 << 30, random.Random(0))
    assert facts[-1].flags == ("undecoded",) and any(isinstance(fact, Answer) for fact in facts)


def test_postgres_takes_every_captured_text(postgres_url: str) -> None:
    texts = set()
    for value in VALUES:
        body = PLACES[5].replace(b"%b", value)
        for fact in watched(body, PLACES[11].replace(b"%b", value)) + watched(PLACES[9].replace(b"%b", value), b"{}"):
            if isinstance(fact, Request):
                texts |= {fact.arguments, fact.client.capabilities if fact.client else None}
            elif isinstance(fact, Answer):
                texts.add(fact.result)
    with psycopg.connect(postgres_url) as conn:
        for text in filter(None, texts):
            conn.execute("SELECT %s::jsonb", (text,))
    assert len(texts) > 25
