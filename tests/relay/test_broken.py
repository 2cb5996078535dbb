"""Who breaks off is heard by the other, at once and as what it is (P4, P5)."""

import json
import socket
import time
from typing import Any

import pytest

TOLD_S = 5  # within a second on a machine of its own: tests/faults/test_p04_cancellation.py
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def silent(peer: Any, request: Any) -> bool:
    peer.more()  # until the other side goes
    return False


def stream(peer: Any, request: Any) -> bool:
    peer.send(HEAD + b"9\r\ndata: 1\n\n\r\n")
    peer.more()
    return False


def gone(server: Any) -> bool:
    return all(peer.sock.fileno() == -1 for peer in server.connections) and bool(server.connections)


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("script", [silent, stream])
def test_the_upstream_is_told_that_the_client_left(
    upstream: Any, weir: Any, tools: Any, script: Any, how: str
) -> None:
    server = upstream(script)
    through = weir(server)
    peer = through.connect().send(tools.post(tools.call()))
    if script is stream:
        assert peer.head().status == 200 and peer.chunk() == b"data: 1\n\n"
    else:
        tools.eventually(lambda: server.requests)
    began = time.monotonic()
    getattr(peer, how)()
    tools.eventually(lambda: gone(server), TOLD_S)
    assert time.monotonic() - began < TOLD_S
    (closed,) = through.closed()
    assert closed.closed_by == "client"


def test_the_upstream_is_told_in_the_middle_of_an_upload(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    through = weir(server)
    peer = through.connect().send(tools.post(b"x" * 100_000)[:50_000])
    tools.eventually(lambda: server.connections)
    time.sleep(0.05)
    peer.close()
    tools.eventually(lambda: gone(server), TOLD_S)
    assert server.requests == [] or not server.requests[0].whole
    assert through.closed()[0].closed_by == "client"


def test_the_upstream_is_told_though_the_upload_is_stalled(upstream: Any, weir: Any, tools: Any) -> None:
    """Nobody reads: the client's socket is paused, and yet its leaving is seen."""
    server = upstream()
    kept: list[socket.socket] = []
    server._serve = kept.append
    through = weir(server)
    peer = through.connect(1)
    peer.send(b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: 100000000\r\n\r\n")
    with pytest.raises(TimeoutError):
        for _ in range(1000):
            peer.send(b"x" * 100_000)
    peer.reset()
    assert through.closed(within=TOLD_S)[0].closed_by == "client"
    for sock in kept:
        sock.close()


@pytest.mark.parametrize(
    "part",
    [HEAD + b"5\r\nda", HEAD + b"9\r\ndata: 1\n\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"],
)
@pytest.mark.parametrize("how", ["close", "reset"])
def test_a_cut_answer_never_ends_cleanly(upstream: Any, weir: Any, tools: Any, part: bytes, how: str) -> None:
    def cut(peer: Any, request: Any) -> None:
        peer.send(part)
        time.sleep(0.05)
        getattr(peer, how)()

    through = weir(upstream(cut))
    answer = through.ask(tools.post(tools.call()))
    assert answer.status == 200 and not answer.whole
    (closed,) = through.closed()
    assert (closed.closed_by, closed.upstream_error) == ("upstream", None)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (b"", "reset"),
        (b"HTTP/1.1 2", "reset"),
        (b"SSH-2.0-OpenSSH\r\n", "protocol"),
        (b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\nContent-Length: 0\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nA: b\0\r\nContent-Length: 0\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", "protocol"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "protocol"),
        (b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "protocol"),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "protocol"),
        (b"HTTP/1.1 103 E\r\n\r\n" * 1000, "protocol"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000, "protocol"),
    ],
)
def test_an_answer_that_is_none_is_a_502_with_the_request_s_id(
    upstream: Any, weir: Any, tools: Any, answer: bytes, kind: str
) -> None:
    through = weir(upstream(lambda peer, request: (peer.send(answer), False)[1]))
    got = through.ask(tools.post(tools.call(b'"seven"')))
    said = json.loads(got.body)
    assert (got.status, got.get(b"content-type"), said["id"]) == (502, b"application/json", "seven")
    assert said["error"]["code"] == -32000 and said["error"]["data"] == {"kind": kind}
    assert all(one.status == 103 for one in got.informed)  # nobody is told to switch
    (closed,) = through.closed()
    assert (closed.closed_by, closed.upstream_error, closed.status) == ("upstream", kind, 502)
    assert through.of(tools.Request)[0].jsonrpc_id == '"seven"'


@pytest.mark.parametrize(
    ("request_body", "ident"),
    [
        (b'{"jsonrpc":"2.0","id":3,"method":"ping"}', 3),
        (b'{"jsonrpc":"2.0","method":"notifications/x"}', None),
        (b'[{"jsonrpc":"2.0","id":3,"method":"ping"}]', None),
        (b'{"jsonrpc":"2.0","id":3,"result":{}}', None),
        (b"hello", None),
        (b"", None),
    ],
)
def test_a_dead_upstream(weir: Any, nobody: int, tools: Any, request_body: bytes, ident: int | None) -> None:
    through = weir(f"http://127.0.0.1:{nobody}")
    got = through.ask(tools.post(request_body))
    assert got.status == 502
    said = json.loads(got.body)
    assert said["id"] == ident and said["error"]["data"] == {"kind": "connect"}
    for sent in (tools.get(), tools.post(b"a=1").replace(b"application/json", b"text/plain"), tools.post(b"{}", b"/x")):
        plain = through.ask(sent)
        assert plain.get(b"content-type") == b"text/plain; charset=utf-8" and b"(connect)" in plain.body
    assert through.closed(3)[0].upstream_error == "connect"


def test_a_slow_body_to_a_dead_upstream_is_still_the_client_s_word(weir: Any, nobody: int, tools: Any) -> None:
    through, whole = weir(f"http://127.0.0.1:{nobody}"), tools.post(tools.call(b"9"))
    peer = through.connect().send(whole[:-20])
    time.sleep(0.2)
    assert json.loads(peer.send(whole[-20:]).response().body)["id"] == 9


def test_connect_timeout(weir: Any, tools: Any) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:  # a full backlog swallows SYNs
        held = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(full.getsockname())
            held.append(sock)
        through = weir(f"http://127.0.0.1:{full.getsockname()[1]}", connect_timeout=0.3)
        got = through.ask(tools.post(tools.call()))
        assert json.loads(got.body)["error"]["data"] == {"kind": "timeout"}
        assert through.closed()[0].upstream_error == "timeout"
        for sock in held:
            sock.close()


@pytest.mark.parametrize("length", [b"Content-Length: 20000000\r\n", b"Transfer-Encoding: chunked\r\n"])
def test_an_early_answer_is_read_before_the_reset(
    upstream: Any, weir: Any, tools: Any, length: bytes
) -> None:
    """413, then a close with unread bytes (a reset): the client gets the 413, thirty times out of thirty."""
    server = upstream()

    def serve(sock: Any) -> None:
        peer = tools.Peer(sock, 30)
        peer.head()
        peer.exactly(100_000)
        peer.send(b"HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\nConnection: close\r\n\r\nlarge")
        sock.close()

    server._serve = serve
    through = weir(server)
    for _ in range(30):
        peer = through.connect().send(b"POST /mcp HTTP/1.1\r\nHost: h\r\n" + length + b"\r\n")
        try:
            for _ in range(200):
                peer.send(b"186a0\r\n" + b"x" * 100_000 + b"\r\n" if b"chunked" in length else b"x" * 100_000)
        except OSError:
            pass  # our side may close once it has answered
        answer = peer.response()
        assert (answer.status, answer.body) == (413, b"large")
        peer.close()


def test_a_body_that_is_no_http_never_becomes_whole(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    through = weir(server)
    peer = through.connect().send(b"POST /mcp HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n")
    tools.eventually(lambda: server.connections)
    assert peer.send(b"zz\r\n").response().status == 400
    assert peer.at_end()
    tools.eventually(lambda: gone(server), TOLD_S)
    assert all(not request.whole for request in server.requests)


def test_a_post_is_never_sent_twice(upstream: Any, weir: Any, tools: Any) -> None:
    """P5: the upstream closes just after each answer; a POST reaches it once or is a 502."""

    def close_soon(peer: Any, request: Any) -> bool:
        tools.fixed()(peer, request)
        time.sleep(0.002)
        return False

    server = upstream(close_soon)
    through = weir(server)
    peer, answers = through.connect(), []
    for number in range(200):
        if peer.sock.fileno() == -1:
            peer = through.connect()
        answers.append(peer.send(tools.post(tools.call(b"%d" % number))).response().status)
        if answers[-1] == 502:
            peer.close()
        time.sleep(0.0005 * (number % 7))
    ran = [json.loads(request.body)["id"] for request in server.requests]
    assert len(ran) == len(set(ran)), "none ran twice"
    assert set(answers) <= {200, 502} and answers.count(200) <= len(ran)
    assert len(through.closed(200)) == 200


def test_an_idle_connection_that_the_upstream_closed_is_not_used(upstream: Any, weir: Any, tools: Any) -> None:
    def close_later(peer: Any, request: Any) -> bool:
        tools.fixed()(peer, request)
        time.sleep(0.06)
        return False

    through = weir(upstream(close_later))
    peer = through.connect()
    for _ in range(10):
        assert peer.send(tools.post(tools.call())).response().status == 200
        time.sleep(0.12)


def test_bytes_that_nobody_asked_for_end_the_connection(upstream: Any, weir: Any, tools: Any) -> None:
    def two(peer: Any, request: Any) -> None:
        tools.fixed(b"first")(peer, request)
        if len(server.requests) % 2:
            tools.fixed(b"poison")(peer, request)

    server = upstream(two)
    peer = weir(server).connect()
    for _ in range(6):
        assert peer.send(tools.get()).response().body == b"first"
        time.sleep(0.02)  # what comes after the next request cannot be told from its answer, by anybody


def test_an_answer_before_the_end_of_its_request_does_not_leak_the_connection(
    upstream: Any, weir: Any, tools: Any
) -> None:
    """200 in the middle of an upload, and then the client leaves: the upstream is told."""
    server = upstream()

    def serve(sock: Any) -> None:
        with sock:
            peer = tools.Peer(sock, 30)
            server.connections.append(peer)
            peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
            while peer.more():
                continue

    server._serve = serve
    peer = weir(server).connect().send(tools.post(b"x" * 1000)[:-500])
    assert peer.response().body == b"ok"
    peer.close()
    tools.eventually(lambda: gone(server), TOLD_S)
