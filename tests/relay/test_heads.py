"""Heads known by sight: what comes again passes as it did the first time, however it is cut; what differs is parsed."""

import random
import time
from typing import Any

import pytest

WARM = 3
HEAD = b"POST /mcp HTTP/1.1\r\nHost: weir\r\nMcp-Session-Id: s-%d\r\nContent-Type: application/json\r\n"


def post(session: int, body: bytes, length: bytes | None = None) -> bytes:
    return HEAD % session + b"Content-Length: %b\r\n\r\n" % (length or b"%d" % len(body)) + body


def cuttings(data: bytes, dice: random.Random) -> list[bytes]:
    """Whole, head and body apart, byte by byte, or anywhere."""
    match dice.randrange(4):
        case 0:
            return [data]
        case 1:
            at = data.index(b"\r\n\r\n") + 4
            return [data[:at], data[at:]]
        case 2:
            return [data[i : i + 1] for i in range(len(data))]
    at = sorted(dice.sample(range(1, len(data)), 3))
    return [data[a:b] for a, b in zip([0, *at], [*at, len(data)], strict=True)]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_the_cutting_every_request_passes_as_it_was(upstream: Any, weir: Any, tools: Any, seed: int) -> None:
    dice, server = random.Random(seed), upstream()
    peer, sent = weir(server).connect(), []
    for number in range(25):
        body = tools.call(b"%d" % number) + b" " * dice.choice([0, 1, 100, 5000, 70_000])
        match dice.randrange(8):
            case 0:
                data = tools.get()
            case 1:
                data = HEAD % 1 + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
            case _:
                data = post(dice.randrange(2), body)
        for part in cuttings(data, dice) if len(data) < 10_000 else [data]:
            peer.send(part)
            time.sleep(dice.choice([0, 0, 0, 0.0005]))
        assert peer.response().status == 200
        sent.append((data.partition(b"\r\n\r\n")[0], b"" if data.startswith(b"GET") else body))
    got = [(request.raw, request.body) for request in server.requests]
    assert [raw.split(b"\r\n") for raw, _ in got] == [raw.split(b"\r\n") for raw, _ in sent]
    assert [body for _, body in got] == [body for _, body in sent]


def test_each_request_is_recorded_in_its_own_session(upstream: Any, weir: Any, tools: Any) -> None:
    through = weir(upstream())
    peers = [through.connect(), through.connect()]
    for number in range(10):
        peer = peers[number % 2]
        peer.send(post(number % 4, tools.call(b"%d" % number))).response()
    through.closed(10)
    sessions = [fact.session for fact in through.of(tools.Opened)]
    assert len(set(sessions)) == 4 and [sessions.index(one) for one in sessions] == [n % 4 for n in range(10)]
    assert [fact.jsonrpc_id for fact in through.of(tools.Request)] == [str(n) for n in range(10)]
    assert {fact.client_addr for fact in through.of(tools.Opened)} == {"127.0.0.1"}
    assert [fact.connection_seq for fact in through.of(tools.Opened)] == [n // 2 + 1 for n in range(10)]


def test_two_known_requests_in_one_read_are_two(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    peer = weir(server).connect()
    for _ in range(WARM):
        peer.send(post(1, tools.call())).response()
    peer.send(post(1, tools.call(b"7")) + post(2, tools.call(b"8")) + post(1, tools.call(b"9")))
    assert [peer.response().status for _ in range(3)] == [200] * 3
    assert [request.body for request in server.requests[WARM:]] == [tools.call(b"%d" % n) for n in (7, 8, 9)]
    assert [request.get(b"mcp-session-id") for request in server.requests[WARM:]] == [b"s-1", b"s-2", b"s-1"]


def test_a_body_that_does_not_come_takes_the_patient_way(upstream: Any, weir: Any, tools: Any) -> None:
    """The upstream may want to answer early: it sees the head though the body is late."""
    server = upstream()
    peer = weir(server).connect()
    for _ in range(WARM):
        peer.send(post(1, tools.call())).response()
    head, _, body = post(1, tools.call()).partition(b"\r\n\r\n")
    peer.send(head + b"\r\n\r\n" + body[:5])
    tools.eventually(lambda: sum(one.raw.count(b"POST /mcp") for one in server.connections) == WARM + 1, 2)
    time.sleep(0.8)
    assert peer.send(body[5:]).response().status == 200
    assert server.requests[-1].body == tools.call()
    assert peer.send(post(1, tools.call(b"2"))).response().status == 200


def test_who_leaves_in_the_middle_leaves_nothing_behind(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    through = weir(server)
    for _ in range(WARM):
        through.connect().send(post(1, tools.call())).response()
    gone = through.connect()
    gone.send(post(1, tools.call())[:-10])
    time.sleep(0.05)
    gone.close()
    other = through.connect()
    assert other.send(post(1, tools.call(b"5"))).response().status == 200
    assert [request.body for request in server.requests if request.whole] == [tools.call()] * WARM + [tools.call(b"5")]


BAD = [
    b"+%d", b" %d", b"%d ", b"0x%x", b"%d,%d", b"%d\r\nContent-Length: 3", b"%d\r\nTransfer-Encoding: chunked",
    b"%d\r\n continued", b"%d\nX: y", b"%d\r\nTransfer_Encoding: chunked", b"%d\r\nConnection: content-length",
    b"%d\x00", b"\xd9\xa1%d", b"%d\r\nHost: other", b"%d\r\nContent_Length: 3", b"-%d", b"%d;", b"%d\r", b"",
]


@pytest.mark.parametrize("length", BAD)
def test_a_known_head_with_another_length_is_parsed_and_guarded(
    upstream: Any, weir: Any, tools: Any, length: bytes
) -> None:
    server = upstream()
    peer = weir(server).connect()
    for _ in range(WARM):
        peer.send(post(1, tools.call())).response()
    size = len(tools.call())
    values = tuple([size] * length.count(b"%"))
    data = HEAD % 1 + b"Content-Length: " + (length % values if values else length) + b"\r\n\r\n" + tools.call()
    answer = peer.send(data).response()
    later = server.requests[WARM:]
    if answer.status == 200:  # optional white space around a value is no part of it (RFC 9110 5.5)
        assert length.strip() == b"%d" and [request.body for request in later] == [tools.call()]
        assert later[0].get(b"content-length") == b"%d" % size
    else:
        assert answer.status in (400, 501) and not later and peer.at_end()


def test_a_known_head_through_expect_waits_for_nobody(upstream: Any, weir: Any, tools: Any) -> None:
    """`Expect: 100-continue` waits for a word before the body: such a head must never be held back."""
    server = upstream()
    peer = weir(server).connect()
    data = (HEAD % 1) + b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(tools.call())
    for _ in range(WARM):
        began = time.monotonic()
        asked = sum(one.raw.count(b"Expect") for one in server.connections)
        peer.send(data)
        tools.eventually(lambda asked=asked: sum(one.raw.count(b"Expect") for one in server.connections) > asked)
        assert peer.send(tools.call()).response().status == 200
        assert time.monotonic() - began < 1
