"""A trailer belongs to its own request. aiohttp's parser keeps the last one for the next request on the connection."""

from typing import Any

import pytest

HEAD = b"POST /mcp HTTP/1.1\r\nHost: alice\r\nTransfer-Encoding: chunked\r\n\r\n"
BODY = b"2\r\nok\r\n0\r\n"
TRAILERS = b"X-First: 1\r\nAuthorization: Bearer alice\r\n"
NEXT = b"POST /mcp HTTP/1.1\r\nHost: bob\r\nContent-Length: 3\r\n\r\nbob"
SEEN = [(b"Host", b"bob"), (b"Content-Length", b"3")]


@pytest.mark.parametrize("trailers", [b"", TRAILERS, b"X:\r\n"])
@pytest.mark.parametrize("cut", [0, 1, 2, 3, 4, 5, 10])
def test_the_next_request_does_not_speak_with_the_trailer_of_the_first(
    upstream: Any, weir: Any, tools: Any, trailers: bytes, cut: int
) -> None:
    """However its end is cut; and the connection stays."""
    server = upstream()
    peer, data = weir(server).connect(), HEAD + BODY + trailers + b"\r\n"
    for number in range(3):
        peer.send(data[: len(data) - cut])
        if cut:
            tools.eventually(lambda n=number: sum(p.raw.count(b"Host: alice") for p in server.connections) > n)
            peer.send(data[len(data) - cut :])
        assert peer.response().status == 200
        assert peer.send(NEXT).response().status == 200
        first, second = server.requests[2 * number :]
        assert (first.headers, first.body) == ([(b"Host", b"alice")], b"ok")
        assert (second.headers, second.body) == (SEEN, b"bob")


def test_a_host_in_a_trailer_ends_the_connection(upstream: Any, weir: Any, tools: Any) -> None:
    """aiohttp would take it for the next request's second Host, and a stranger would be refused."""
    server = upstream()
    peer = weir(server).connect().send(HEAD + BODY + b"Host: eve\r\n\r\n")
    answer = peer.response()
    assert answer.status == 200 and answer.get(b"connection") == b"close" and peer.at_end()
    assert [request.headers for request in server.requests] == [[(b"Host", b"alice")]]


@pytest.mark.parametrize("rest", [NEXT, NEXT[:40], NEXT[:-3], NEXT + NEXT, b"P", b"GET /mcp HTTP/1.1\r\nX: "])
def test_what_came_with_the_trailer_is_not_taken_and_the_connection_ends(
    upstream: Any, weir: Any, tools: Any, rest: bytes
) -> None:
    server = upstream()
    peer = weir(server).connect().send(HEAD + BODY + TRAILERS + b"\r\n" + rest)
    answer = peer.response()
    assert answer.status == 200 and answer.get(b"connection") == b"close"
    assert peer.at_end()
    assert [request.body for request in server.requests] == [b"ok"]


def test_what_comes_with_the_end_of_a_chunked_request_ends_it_too(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    peer = weir(server).connect().send(HEAD + b"2\r\nok\r\n")
    tools.eventually(lambda: server.connections)
    answer = peer.send(b"0\r\n" + TRAILERS + b"\r\n" + NEXT).response()
    assert answer.status == 200 and peer.at_end()
    assert [request.body for request in server.requests] == [b"ok"]


def test_what_came_before_a_chunked_request_in_the_same_read_is_answered(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    peer = weir(server).connect().send(NEXT + NEXT + HEAD + BODY + TRAILERS + b"\r\n")
    assert [peer.response().status for _ in range(3)] == [200, 200, 200]
    assert peer.send(NEXT).response().status == 200, "nothing came behind it: it was rinsed"
    assert [request.headers for request in server.requests] == [SEEN, SEEN, [(b"Host", b"alice")], SEEN]
