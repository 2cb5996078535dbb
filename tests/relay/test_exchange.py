"""One exchange at a time: framing both ways, early answers, 1xx, what is recorded and when."""

import time
from typing import Any

import pytest


def test_a_call_passes_and_is_told_before_its_answer(upstream: Any, weir: Any, tools: Any) -> None:
    seen: list[int] = []
    through = weir(server := upstream(tools.fixed(b'{"jsonrpc":"2.0","id":1,"result":{}}')))
    peer = through.connect()
    for number in range(3):
        answer = peer.send(tools.post(tools.call(b"%d" % number))).response()
        seen.append(len(through.of(tools.Closed)))
        assert (answer.status, answer.body) == (200, b'{"jsonrpc":"2.0","id":1,"result":{}}')
    assert seen == [1, 2, 3], "the fact was offered before the answer's last byte"
    assert [(o.connection, o.connection_seq) for o in through.of(tools.Opened)] == [(1, 1), (1, 2), (1, 3)]
    assert len(server.connections) == 1, "the connection is used again"
    assert {c.closed_by for c in through.of(tools.Closed)} == {"complete"}


@pytest.mark.parametrize("size", [0, 1, 1000, 65535, 65536, 1 << 20])
@pytest.mark.parametrize("chunked", [True, False])
def test_bodies_pass_both_ways(upstream: Any, weir: Any, tools: Any, size: int, chunked: bool) -> None:
    body = bytes(range(256)) * (size // 256) + b"x" * (size % 256)

    def echo(peer: Any, request: Any) -> None:
        if chunked:
            peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            for at in range(0, len(request.body), 9999):
                part = request.body[at : at + 9999]
                peer.send(b"%x\r\n%b\r\n" % (len(part), part))
            peer.send(b"0\r\n\r\n")
        else:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(request.body), request.body))

    server = upstream(echo)
    if chunked:
        sent = b"POST /mcp HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n"
        for at in range(0, size, 7777):
            part = body[at : at + 7777]
            sent += b"%x;ext=1\r\n%b\r\n" % (len(part), part)
        sent += b"0\r\n\r\n"
    else:
        sent = tools.post(body)
    answer = weir(server).ask(sent)
    assert answer.whole and answer.body == body
    assert server.requests[0].body == body
    assert (server.requests[0].get(b"content-length") is None) is chunked


def test_a_body_without_length_ends_with_the_connection(upstream: Any, weir: Any, tools: Any) -> None:
    def close(peer: Any, request: Any) -> bool:
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nsome")
        time.sleep(0.05)
        peer.send(b" text")
        return False

    through = weir(upstream(close))
    peer = through.connect()
    for _ in range(2):
        answer = peer.send(tools.get()).response()
        assert answer.body == b"some text" and answer.get(b"transfer-encoding") == b"chunked"
    old = through.ask(b"GET /mcp HTTP/1.0\r\nHost: h\r\n\r\n")
    assert old.body == b"some text" and old.get(b"transfer-encoding") is None


def test_http_1_0_gets_its_answer_closed(upstream: Any, weir: Any, tools: Any) -> None:
    def chunked(peer: Any, request: Any) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")

    server = upstream(chunked)
    peer = weir(server).connect().send(b"GET /mcp HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
    answer = peer.response()
    assert answer.body == b"abc" and answer.get(b"transfer-encoding") is None
    assert peer.at_end()
    assert server.requests[0].start == b"GET /mcp HTTP/1.0", "the version too is the client's"


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_body(upstream: Any, weir: Any, tools: Any, status: int) -> None:
    server = upstream(lambda peer, request: peer.send(b"HTTP/1.1 %d Word\r\nETag: x\r\n\r\n" % status))
    peer = weir(server).connect()
    for _ in range(3):
        answer = peer.send(tools.get()).response()
        assert (answer.start, answer.fields) == (b"HTTP/1.1 %d Word" % status, [(b"ETag", b"x")])
    assert len(server.connections) == 1


def test_head_has_a_length_and_no_body(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream(lambda peer, request: peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"))
    peer = weir(server).connect()
    for _ in range(3):
        answer = peer.send(b"HEAD /mcp HTTP/1.1\r\nHost: h\r\n\r\n").response(head_only=True)
        assert answer.get(b"content-length") == b"9999"
    assert len(server.connections) == 3, "a body sent by mistake must not become the next answer"


def test_1xx_pass_in_order(upstream: Any, weir: Any, tools: Any) -> None:
    def hints(peer: Any, request: Any) -> None:
        peer.send(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")
        tools.fixed()(peer, request)

    answer = weir(upstream(hints)).ask(tools.get())
    assert [m.start for m in answer.informed] == [b"HTTP/1.1 103 Early Hints", b"HTTP/1.1 102 Processing"]
    assert answer.informed[0].fields == [(b"Link", b"</a>")] and answer.body == b"{}"


def test_expect_100_continue_end_to_end(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()

    def serve(sock: Any) -> None:
        peer = tools.Peer(sock, 30)
        head = peer.head()
        assert head.get(b"expect") == b"100-continue"
        peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = peer.exactly(5)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)
        peer.close()

    server._serve = serve
    peer = weir(server).connect(3)
    peer.send(b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert peer.head().start == b"HTTP/1.1 100 Continue"
    assert peer.send(b"hello").response().body == b"hello"


def test_a_final_answer_to_an_expectation(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()

    def serve(sock: Any) -> None:
        peer = tools.Peer(sock, 30)
        peer.head()
        peer.send(b"HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n")
        peer.close()

    server._serve = serve
    peer = weir(server).connect(3)
    peer.send(b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
    assert peer.response().status == 417
    assert peer.at_end()


def test_pipelined_requests_are_answered_in_order(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream(lambda peer, request: tools.fixed(request.start.split()[1])(peer, request))
    peer = weir(server).connect().send(b"".join(tools.get(b"/mcp?%d" % n) for n in range(50)))
    assert [peer.response().body for _ in range(50)] == [b"/mcp?%d" % n for n in range(50)]


def test_equal_ids_of_many_clients_never_cross(upstream: Any, weir: Any, tools: Any) -> None:
    """P15: 50 clients with equal ids, interleaved."""
    server = upstream(lambda peer, request: tools.fixed(request.get(b"x-who"))(peer, request))
    through = weir(server)
    peers = [through.connect() for _ in range(50)]
    for _ in range(10):
        for number, peer in enumerate(peers):
            peer.send(tools.post(tools.call(), more=b"X-Who: %d\r\n" % number))
        for number, peer in enumerate(peers):
            assert peer.response().body == b"%d" % number
