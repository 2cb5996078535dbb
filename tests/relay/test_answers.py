"""Answers at the edges of HTTP's framing, direct and through: what may have a body, what only says that it has one.

Each is asked for twice on one connection, so that a byte of the first that is taken for the second's shows.
"""

import socket
from typing import Any

import pytest

GET = b"GET /mcp HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
TRAILED = b"Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\n\r\n"
HINTS = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nLink: </b>\r\n\r\n"


def twice(tools: Any, port: int, request: bytes, head_only: bool) -> list[Any]:
    """Two answers on a connection, on two where the first closes it."""
    answers, sock = [], None
    for _ in range(2):
        peer = tools.Peer(sock or socket.create_connection(("127.0.0.1", port)))
        answers.append(peer.send(request).response(head_only))
        closes = b"close" in (answers[-1].get(b"connection") or b"").lower() or b" 200" not in peer.raw[:20]
        sock = None if closes else peer.sock
        if closes:
            peer.close()
    if sock is not None:
        sock.close()
    return answers


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (GET, OK),
        (GET, b"HTTP/1.1 204 No Content\r\n\r\n"),
        (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nETag: x\r\n\r\n"),
        (GET, b"HTTP/1.1 304 Not Modified\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (GET, b"HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n"),
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\n"),
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\n\r\n"),
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 304 Not Modified\r\nContent-Length: 7\r\n\r\n"),
        (GET, b"HTTP/1.1 100 Continue\r\n\r\n" + OK),
        (GET, HINTS + HINTS + b"HTTP/1.1 102 Processing\r\n\r\n" + OK),
        (GET, b"HTTP/1.1 199 Odd\r\nContent-Length: 0\r\n\r\n" + OK),
        (GET, b"HTTP/1.1 200 OK\r\n" + TRAILED),
        (b"POST /mcp HTTP/1.1\r\nHost: h\r\n" + TRAILED, OK),
        (b"POST /mcp HTTP/1.1\r\nHost: h\r\n" + TRAILED, b"HTTP/1.1 200 OK\r\n" + TRAILED),
        (GET, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b;c=\"d\"\r\nok\r\n00;e\r\n\r\n"),
        (GET, b"HTTP/1.1 200 OK\r\ntransfer-encoding:\t chunked \r\n\r\n2\r\nok\r\n0\r\n\r\n"),
        (GET, b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno"),
        (GET, b"HTTP/1.1 417 Expectation Failed\r\nContent-Length: 0\r\n\r\n"),
        (GET, b"HTTP/1.1 426 Upgrade Required\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_the_same_direct_and_through(
    upstream: Any, weir: Any, tools: Any, request_bytes: bytes, answer: bytes
) -> None:
    server = upstream(lambda peer, request: peer.send(answer))
    head_only = request_bytes.startswith(b"HEAD")
    direct = twice(tools, server.port, request_bytes, head_only)
    through = twice(tools, weir(server).port, request_bytes, head_only)
    for one, other in zip(direct, through, strict=True):
        assert (other.start, other.headers, other.body, other.whole) == (one.start, one.headers, one.body, one.whole)
        told = [[(m.start, m.headers) for m in answers.informed] for answers in (one, other)]
        assert told[0] == told[1]
    arrived = [(request.start, request.headers, request.body) for request in server.requests]
    assert arrived[:2] == arrived[2:]


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (GET, b"HTTP/1.1 204 No Content\r\nContent-Length: 60\r\n\r\n"),
        (GET, b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (GET, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 60\r\n\r\n"),
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nContent-Length: 60\r\n\r\n"),
        (GET.replace(b"GET", b"HEAD"), b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        (GET, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_a_body_where_there_can_be_none_is_nobody_s_answer(
    upstream: Any, weir: Any, tools: Any, request_bytes: bytes, answer: bytes
) -> None:
    """What follows such a head looks like a whole answer: the next request on the same connection must not get it."""
    poison = b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\npoison"

    def script(peer: Any, request: Any) -> None:
        peer.send(tools.fixed(b"honest")(peer, request) and b"" if b"next" in request.start else answer + poison)

    through = weir(upstream(script))
    for _ in range(10):
        peer = through.connect()
        first = peer.send(request_bytes).response(head_only=True)
        assert first.status < 400
        other = through.ask(GET.replace(b"/mcp", b"/mcp?next"))
        assert (other.status, other.body) == (200, b"honest")
        assert b"poison" not in peer.raw
        peer.close()


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2, 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 18446744073709551618\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: xchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, identity\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: \x0bchunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nX: a\rb\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX: a\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nX y: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\n: b\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 O\rK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok",
        b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 -200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/0.9 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"ICY 200 OK\r\nContent-Length: 2\r\n\r\nok",
    ],
)
def test_an_answer_that_two_readers_would_frame_differently_is_a_502(
    upstream: Any, weir: Any, tools: Any, answer: bytes
) -> None:
    through = weir(upstream(lambda peer, request: (peer.send(answer), False)[1]))
    got = through.ask(GET)
    assert (got.status, got.whole) == (502, True), got.start
    assert through.closed()[0].upstream_error == "protocol"


@pytest.mark.parametrize(
    "rest",
    [
        b"0x2\r\nok\r\n0\r\n\r\n", b"+2\r\nok\r\n0\r\n\r\n", b"-2\r\nok\r\n0\r\n\r\n", b"2\nok\n0\n\n",
        b"2\r\nokX\r\n0\r\n\r\n",
        b"2\r\nok0\r\n\r\n",
        b"fffffffffffffffff\r\nok\r\n0\r\n\r\n", b"2\r\nok\r\n0\r\nX\0: y\r\n\r\n",
        b"\r\n2\r\nok\r\n0\r\n\r\n",
        b"2\r\nok\r\n0\r\nX: y", b"2\r\nok\r\n0\r\n", b"2\r\nok\r\n", b"2\r\no",
    ],
)
def test_chunks_that_are_none_are_no_clean_end(upstream: Any, weir: Any, tools: Any, rest: bytes) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    through = weir(upstream(lambda peer, request: (peer.send(head + rest), False)[1]))
    got = through.ask(GET)
    assert got.status == 502 or not got.whole
    assert through.closed()[0].closed_by == "upstream"
