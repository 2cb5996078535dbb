"""Requests that come in one read are answered in their order, and a broken one takes none with it (RFC 9112 9.3)."""

from typing import Any

import pytest

GOOD = b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: 4\r\n\r\ngood"
GET = b"GET /mcp?good HTTP/1.1\r\nHost: h\r\n\r\n"
BROKEN = [
    b"GET /mcp HTTP/1.1\r\nHost: h\r\nA : b\r\n\r\n",
    b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nevil!",
    b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"POST /mcp HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: x\r\n\r\n",
    b"\0\1\2\3\r\n\r\n",
    b"evil\r\n\r\n" + GOOD,
]


@pytest.mark.parametrize("before", [[GOOD], [GET], [GET, GOOD, GOOD, GET]], ids=["post", "get", "four"])
@pytest.mark.parametrize("warm", [False, True])  # a head that is known, and a connection to the upstream that is there
def test_what_came_before_a_broken_request_is_answered_and_then_the_connection_ends(
    upstream: Any, weir: Any, tools: Any, before: list[bytes], warm: bool
) -> None:
    server = upstream()
    through = weir(server)
    for broken in BROKEN:
        peer = through.connect()
        if warm:
            assert [peer.send(one).response().status for one in (GOOD, GET, GOOD)] == [200] * 3
        earlier = len(server.requests)
        peer.send(b"".join(before) + broken)
        assert [peer.response().status for _ in before] == [200] * len(before)
        last = peer.response()
        assert last.status == 400 and last.get(b"connection") == b"close" and peer.at_end()
        arrived = [request.body for request in server.requests[earlier:]]
        assert arrived == [b"good" if one is GOOD else b"" for one in before]


def test_nothing_behind_a_broken_request_is_taken(upstream: Any, weir: Any, tools: Any) -> None:
    """Its end is not known: what looks like a request may be its body."""
    server = upstream()
    peer = weir(server).connect()
    assert peer.send(GOOD).response().status == 200
    peer.send(BROKEN[0] + GOOD + GET)
    assert peer.response().status == 400 and peer.at_end()
    assert len(server.requests) == 1


def test_whatever_may_be_a_boundary_changes_no_request(upstream: Any, weir: Any, tools: Any) -> None:
    """A body is a body, though it looks like requests: whole, and cut within them."""
    server = upstream()
    inner = GET + GOOD + BROKEN[0]
    outer = tools.post(inner)
    for cut in (0, 30, len(outer) - len(GOOD), len(outer) - 3):
        peer = weir(server).connect()
        for part in (outer[:cut], outer[cut:] + GOOD) if cut else (outer + outer + GOOD,):
            peer.send(part)
        assert [peer.response().status for _ in range(2 if cut else 3)] == [200] * (2 if cut else 3)
    assert {request.body for request in server.requests} == {inner, b"good"}


def test_a_hundred_in_one_read_and_the_last_half_there(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream(lambda peer, request: tools.fixed(request.body or request.start.split()[1])(peer, request))
    said = [tools.post(b"%d" % n) if n % 3 else tools.get(b"/mcp?%d" % n) for n in range(100)]
    data = b"".join(said)
    peer = weir(server).connect().send(data[:-1])
    assert [peer.response().body.rpartition(b"?")[2] for _ in range(99)] == [b"%d" % n for n in range(99)]
    assert peer.send(data[-1:]).response().body == b"/mcp?99"
