"""One exchange, fed whole, byte by byte and cut at random: the same facts; never an exception."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_weir.keys import Keys
from mcp_weir.traffic.exchange import Exchange, RequestHead, is_mcp_path
from mcp_weir.traffic.facts import Answer, Closed, EventIds, Opened, Request
from mcp_weir.traffic.reading import Reading

READING = Reading(Keys(b"k" * 32, "s"))
CALL = b'{"jsonrpc":"2.0","id":"1","method":"tools/call","params":{"name":"add","arguments":{"secret":"canary"}}}'
EVENTS = (
    b"id: 1\r\ndata: \r\nretry: 100\r\n\r\n"
    b'event: message\r\ndata: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\r\n\r\n'
    b'event: message\r\ndata: {"jsonrpc":"2.0","id":"1","error":{"code":-32603,"message":"no canary here"}}\r\n\r\n'
)


def pieces(data: bytes, size: int, chance: random.Random) -> list[bytes]:
    out = []
    while data:
        n = size or chance.randint(1, 40)
        out.append(data[:n])
        data = data[n:]
    return out


def watch(body: bytes, answer: bytes, size: int, kind: bytes = b"text/event-stream") -> list:
    chance = random.Random(7)
    head = RequestHead("POST", "/mcp", "", ((b"Mcp-Session-Id", b"abc"),), "127.0.0.1", 1, 0)
    exchange = Exchange(READING, 1, head, 1_000_000, 0)
    facts = []
    for piece in pieces(body, size, chance):
        exchange.request_chunk(piece, 1)
    exchange.request_end(2)
    exchange.response_head(200, ((b"content-type", kind),), 3)
    for piece in pieces(answer, size, chance):
        facts += exchange.response_chunk(piece, 4)
    return gathered(facts + exchange.close("complete", 5))


@pytest.mark.parametrize(("method", "status", "probe"), [
    ("GET", 405, True), ("DELETE", 405, True), ("GET", 404, False), ("DELETE", 404, False), ("POST", 405, False),
])
def test_a_server_that_offers_no_stream_or_lets_nobody_end_a_session_has_not_failed(
    method: str, status: int, probe: bool
) -> None:
    head = RequestHead(method, "/mcp", "", ((b"Mcp-Session-Id", b"abc"),), "127.0.0.1", 1, 0)
    exchange = Exchange(READING, 1, head, 1_000_000, 0)
    exchange.request_end(1)
    exchange.response_head(status, (), 2)
    assert ("probe" in exchange.close("complete", 3)[-1].flags) is probe


def gathered(facts: list) -> list:
    """Event ids go out with the chunk they came in: however cut, the same ids in all, told here at the end."""
    ids = [id for fact in facts if isinstance(fact, EventIds) for id in fact.ids]
    return [fact for fact in facts if not isinstance(fact, EventIds)] + ids


def test_every_cutting_tells_the_same() -> None:
    whole = watch(CALL, EVENTS, 1 << 20)
    assert [type(f) for f in whole] == [Opened, Request, Answer, Closed, bytes]
    assert (whole[1].jsonrpc_id, whole[1].target) == ('"1"', "add")
    assert (whole[2].outcome, whole[2].error_message, whole[2].progress_count) == ("rpc_error", "no *** here", 1)
    for size in (1, 2, 3, 0):
        assert watch(CALL, EVENTS, size) == whole


def test_the_answer_of_another_id_form_is_not_ours() -> None:
    other = EVENTS.replace(b'"id":"1"', b'"id":1')
    (answer,) = [f for f in watch(CALL, other, 1 << 20) if isinstance(f, Answer)]
    assert answer.member is None


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300), st.sampled_from([b"application/json", b"text/event-stream"]))
def test_nothing_raises(body: bytes, answer: bytes, kind: bytes) -> None:
    assert any(isinstance(fact, Closed) for fact in watch(body, answer, 0, kind))


def test_depth_and_poison_are_malformed_not_raised() -> None:
    for body in (b"[" * 100_000, b'{"id":1,"method":"\\ud800"}', b'{"id":1e400000,"method":"m"}', b"\xff", b"[1,2]"):
        assert isinstance(watch(body, body, 1 << 20)[-1], Closed)


def test_what_lies_beneath_the_mcp_path_is_another_resource() -> None:
    assert is_mcp_path(READING, "/mcp") and is_mcp_path(READING, "/mcp/")
    assert not is_mcp_path(READING, "/mcp/.well-known/openid-configuration")


def test_what_the_relay_asks_an_exchange() -> None:
    def fed(body: bytes) -> Exchange:
        exchange = Exchange(READING, 1, RequestHead("POST", "/mcp", "", (), None, 1, 0, proxied=True), 1, 0)
        exchange.request_chunk(body, 1)
        exchange.request_end(2)
        return exchange

    assert fed(CALL).error_id == b'"1"'
    for body in (b"", b"[" + CALL + b"]", b'{"method":"m"}', b"no JSON", b'{"id":1,"result":{}}'):
        assert fed(body).error_id is None
    exchange = fed(CALL)
    assert not exchange.at_event_boundary
    exchange.response_head(200, ((b"content-type", b"text/event-stream"),), 3)
    assert exchange.at_event_boundary
    (opened, *_) = exchange.response_chunk(EVENTS, 4)
    assert exchange.at_event_boundary and opened.proxied
    exchange.response_chunk(b"data: {", 4)
    assert not exchange.at_event_boundary


def test_an_error_code_of_true_is_none_and_its_line_can_be_read_back() -> None:
    answer = b'{"jsonrpc":"2.0","id":"1","error":{"code":true,"message":"no"}}'
    facts = watch(CALL, answer, 1 << 20, kind=b"application/json")
    said = next(fact for fact in facts if isinstance(fact, Answer))
    assert (said.outcome, said.error_code) == ("rpc_error", None)
