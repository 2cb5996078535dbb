"""It forwards exactly what it got (P1): the same exchange direct and through, compared as bytes on raw sockets."""

import gzip
import random
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

METHODS = [b"GET", b"POST", b"PUT", b"DELETE", b"PATCH", b"OPTIONS", b"PROPFIND", b"REPORT", b"SEARCH", b"PURGE"]
NAMES = [
    b"accept", b"ACCEPT", b"Accept-Encoding", b"x-a", b"X-A", b"X-a", b"Cookie", b"Authorization",
    b"Mcp-Session-Id", b"Via",
    b"mcp-protocol-version", b"Mcp-Param-x", b"Date", b"Server", b"Cache-Control", b"Set-Cookie",
    b"Last-Event-ID", b"Origin",
    b"X-Forwarded-For", b"Forwarded", b"Location", b"Content-Encoding", b"Proxy-Authorization",
    b"X.y!#$%&'*+-^`|~1", b"Expires",
]
VALUES = [
    b"", b"a", b"a, b", b"a,b", b'"quoted; x"', b"caf\xc3\xa9", b"latin \xe9\xff", b"\xed\xa0\x80", b"a \t b",
    b"x" * 5000, b"=?base64?eA==?=",
    b"Thu, 01 Jan 1970 00:00:00 GMT", b"text/html;q=0.9, */*", b"0", b"<script>", b"\\x", b"%00", b"bearer e.y.J",
]
TARGETS = [
    b"/mcp", b"/mcp?", b"/mcp/", b"/a%2fb/../c%20d", b"//x", b"/%", b"/%zz", b"/a;b=c?d=e&d=f", b"/?a=b+c%20d",
    b"/mcp?x=[]{}|^`\"<>",
    b"/./x", b"/a//b", b"/~u", b"/" + b"p" * 4000,   b"/%E2%82%AC",
    b"/.well-known/oauth-protected-resource/mcp",
    b"/a'b(c)d*e!f$g", b"/x?y=http://z/", b"/x@y:z", b"/messages/?session_id=abc", b"/sse", b"/a\\b",
]
REASONS = [b"OK", b"", b"Not  Quite", b"caf\xc3\xa9", b"\xe9", b"I'm a teapot"]
NO_BODY = (204, 304)


class Case:
    """One exchange: what the client sends, and what the server answers."""

    def __init__(self, seed: int) -> None:
        rng = random.Random(seed)
        self.method, self.target = rng.choice(METHODS), rng.choice(TARGETS)
        self.sent = [(rng.choice(NAMES), rng.choice(VALUES)) for _ in range(rng.randrange(12))]
        self.sent = [(k, v) for k, v in self.sent if k.lower() not in (b"server",)]
        self.back = [(rng.choice(NAMES), rng.choice(VALUES)) for _ in range(rng.randrange(12))]
        self.status = rng.choice([200, 200, 200, 201, 202, 204, 304, 301, 400, 401, 404, 418, 500, 503, 599, 999])
        self.reason = rng.choice(REASONS)
        self.body = rng.randbytes(rng.choice([0, 0, 1, 100, 5000, 70_000]))
        self.answer = rng.randbytes(rng.choice([0, 1, 100, 5000, 70_000, 300_000]))
        self.chunked, self.chunked_back = rng.random() < 0.4, rng.choice(["chunked", "length", "close"])
        self.cuts, self.rng = rng.random() < 0.3, rng

    def request(self) -> bytes:
        out = [b"%b %b HTTP/1.1\r\nHost: weir.test\r\n" % (self.method, self.target)]
        out += [b"%b: %b\r\n" % field for field in self.sent]
        if self.chunked:
            return b"".join([*out, b"Transfer-Encoding: chunked\r\n\r\n", chunks(self.body, self.rng)])
        if self.body or self.method in (b"POST", b"PUT"):
            out.append(b"Content-Length: %d\r\n" % len(self.body))
        return b"".join([*out, b"\r\n", self.body])

    def response(self) -> bytes:
        out = [b"HTTP/1.1 %d %b\r\n" % (self.status, self.reason)] + [b"%b: %b\r\n" % field for field in self.back]
        if self.status in NO_BODY:
            return b"".join([*out, b"\r\n"])
        if self.chunked_back == "chunked":
            return b"".join([*out, b"Transfer-Encoding: chunked\r\n\r\n", chunks(self.answer, self.rng)])
        if self.chunked_back == "length":
            out.append(b"Content-Length: %d\r\n" % len(self.answer))
        return b"".join([*out, b"\r\n", self.answer])


def chunks(body: bytes, rng: random.Random) -> bytes:
    out, at = [], 0
    while at < len(body):
        size = rng.choice([1, 7, 1000, 65536])
        part = body[at : at + size]
        out.append(b"%x\r\n%b\r\n" % (len(part), part))
        at += size
    return b"".join([*out, b"0\r\n\r\n"])


def compared(tools: Any, server: Any, through: Any, request: bytes, head_only: bool = False) -> tuple[Any, Any]:
    """The exchange direct and through: what the server saw, and what the client got."""
    seen, got = [], []
    for port in (server.port, through.port):
        with socket.create_connection(("127.0.0.1", port)) as sock:
            got.append(tools.Peer(sock).send(request).response(head_only))
        seen.append(server.requests[-1])
    assert seen[1].start == seen[0].start
    assert got[1].start.split(b" ", 1)[1].strip() == got[0].start.split(b" ", 1)[1].strip(), got[1].body[:200]
    for direct, weir in (seen, got):
        assert weir.headers == direct.headers
        assert weir.body == direct.body and weir.whole == direct.whole
    return seen[1], got[1]


def generated(tools: Any, upstream: Any, weir: Any, seeds: range) -> None:
    case: list[Case] = []

    def answer(peer: Any, request: Any) -> bool:
        now = case[0]
        peer.send(now.response())
        return now.status in NO_BODY or now.chunked_back != "close"

    server = upstream(answer)
    through = weir(server)
    for seed in seeds:
        case[:] = [Case(seed)]
        compared(tools, server, through, case[0].request())


def test_generated_exchanges(upstream: Any, weir: Any, tools: Any) -> None:
    generated(tools, upstream, weir, range(500))


@pytest.mark.slow
def test_many_more_generated_exchanges(upstream: Any, weir: Any, tools: Any) -> None:
    generated(tools, upstream, weir, range(1000, 6000))


GZIPPED = b"Content-Encoding: gzip\r\nContent-Length: 23\r\n\r\n" + gzip.compress(b"abc", mtime=0)
HAND_REQUESTS = [
    b"GET /mcp HTTP/1.1\r\nHost: h\r\n%b\r\n" % more
    for more in (
        b"", b"X:\r\n", b"X: \t \r\n", b"X:no space\r\n", b"X:   many   \r\n", b"Cookie: a\r\nCookie: b\r\n",
        b"Accept: */*\r\n",
        b"x-a: 1\r\nX-A: 2\r\nx-b: 3\r\nX-a: 4\r\n", b"Connection: keep-alive\r\n",
        b"Connection: X-Nominated\r\nX-Kept: 1\r\n",
        b"Keep-Alive: timeout=5\r\n", b"TE: trailers\r\n", b"Content-Length: 0\r\n",
        b"Authorization: Bearer " + b"t" * 9000 + b"\r\n",
        b"Max-Forwards: 0\r\n", b"If-None-Match: W/\"x\"\r\n", b"Range: bytes=0-1\r\n",
        b"Accept-Encoding: gzip, br, zstd\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n", b"Last-Event-ID: \xc3\xa9\xff\r\n",
        b"Via: 1.0 p\r\n",
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"Expect: 200-ok\r\n",
        b"X: a\r\nX: a\r\n", b"X: ,\r\n", b"Proxy-Connection: keep-alive\r\n",
        b"Content-Type: a\r\n",
    )
] + [
    b"GET http://h/mcp?x=1 HTTP/1.1\r\nHost: h\r\n\r\n", b"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
    b"GET /mcp HTTP/1.0\r\n\r\n",
    b"GET /mcp HTTP/1.0\r\nHost: h\r\nX: y\r\n\r\n", b"POST /mcp HTTP/1.0\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc",
    b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
    b"DELETE /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
    b"GET /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab",
    b"POST /mcp HTTP/1.1\r\nHost: h\r\n" + GZIPPED,
]
HAND_RESPONSES = [
    b"HTTP/1.1 200 OK\r\n%bContent-Length: 2\r\n\r\nok" % more
    for more in (
        b"", b"Set-Cookie: a=1\r\nSet-Cookie: b=2\r\n", b"Content-Type: text/html\r\n", b"X:\r\n",
        b"x-a: 1\r\nX-A: 2\r\n", b"Date: never\r\n",
        b"Server: s\r\n", b"Connection: keep-alive\r\nKeep-Alive: timeout=5\r\n", b"Connection: X-Hop\r\n",
        b"X: caf\xe9\r\n",
        b"Location: http://127.0.0.1:1/x\r\n", b"WWW-Authenticate: Bearer resource_metadata=\"x\"\r\n",
        b"Alt-Svc: h3\r\n", b"Age: 1\r\n",
        b"Upgrade: h2c\r\nConnection: Upgrade\r\n", b"Content-Type: application/json; charset=utf-8\r\n",
        b"X: " + b"y" * 30_000 + b"\r\n",
    )
] + [
    b"HTTP/1.1 200\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
    b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nTrailer-Field: dropped\r\n\r\n",
    b"HTTP/1.1 200 OK\r\n" + GZIPPED,
    b"HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", b"HTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
]


def test_there_are_sixty_hand_cases() -> None:
    assert len(HAND_REQUESTS) + len(HAND_RESPONSES) >= 60


@pytest.mark.parametrize("request_bytes", HAND_REQUESTS)
def test_requests_by_hand(upstream: Any, weir: Any, tools: Any, request_bytes: bytes) -> None:
    server = upstream()
    compared(tools, server, weir(server), request_bytes)


@pytest.mark.parametrize("answer", HAND_RESPONSES)
def test_responses_by_hand(upstream: Any, weir: Any, tools: Any, answer: bytes) -> None:
    server = upstream(lambda peer, request: peer.send(answer))
    compared(tools, server, weir(server), tools.get())
    server.script = lambda peer, request: peer.send(answer.partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
    compared(tools, server, weir(server), tools.get().replace(b"GET", b"HEAD", 1), head_only=True)


@pytest.mark.parametrize("target", [b"/\xc3\xa9", b"/mcp?\xff", b"/mcp?\xed\xa0\x80", b"/\x80"])
def test_a_target_that_is_no_uri_passes_as_it_is_or_not_at_all(
    upstream: Any, weir: Any, tools: Any, target: bytes
) -> None:
    server = upstream()
    answer = weir(server).ask(tools.get(target))
    assert answer.status == 400 or server.requests[0].start == b"GET %b HTTP/1.1" % target
    assert answer.status == 200 or server.requests == []


def test_names_that_connection_nominates_stay_with_their_hop(upstream: Any, weir: Any, tools: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nConnection: x-hop ,Close\r\nX-HOP: 1\r\nX-Kept: 2\r\n"
    server = upstream(tools.fixed(b"ok", head))
    got = weir(server).ask(tools.get(more=b"Connection: X-Own\r\nx-own: 1\r\nX-Other: 2\r\n"))
    assert server.requests[0].fields == [(b"Host", b"weir"), (b"X-Other", b"2")]
    assert got.fields == [(b"X-Kept", b"2"), (b"Content-Length", b"2")]


def each_side() -> Iterator[Callable[[bytes], bytes]]:
    yield lambda body: b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    yield lambda body: b"Transfer-Encoding: chunked\r\n\r\n" + chunks(body, random.Random(1))


@pytest.mark.parametrize("framed", list(each_side()), ids=["length", "chunked"])
@pytest.mark.parametrize("size", [4 << 20, pytest.param(64 << 20, marks=pytest.mark.slow)])
def test_large_bodies(
    upstream: Any, weir: Any, tools: Any, size: int, framed: Callable[[bytes], bytes]
) -> None:
    body = random.Random(7).randbytes(size)
    server = upstream(lambda peer, request: peer.send(b"HTTP/1.1 200 OK\r\n" + framed(request.body)))
    peer = weir(server).connect(60)
    answer = peer.send(b"POST /mcp HTTP/1.1\r\nHost: h\r\n" + framed(body)).response()
    assert answer.body == body and server.requests[0].body == body
