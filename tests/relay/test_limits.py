"""What a client may make us hold or wait for (P11), and what is refused is recorded where a head was readable."""

import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

MIB = 1 << 20


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_slow_head_is_408_and_a_slow_body_is_not(upstream: Any, weir: Any, tools: Any) -> None:
    through = weir(upstream(), head_timeout=0.6)
    slow, silent = through.connect(), through.connect()
    body, call = through.connect(), tools.post(tools.call())
    body.send(call[:-30])
    began = time.monotonic()
    slow.send(b"POST /mcp HT")
    for at in range(3):
        time.sleep(0.4)
        body.send(call[len(call) - 30 + at * 10 : len(call) - 20 + at * 10])
        if at == 0:
            slow.send(b"TP/1.1\r\n")
    assert slow.response().status == 408 and slow.at_end()
    assert silent.response().status == 408
    assert time.monotonic() - began < 3
    assert body.response().status == 200


class FailsOnce:
    """Stands before the exchanges for one sweep. (Compiled, they let no method of theirs be replaced.)"""

    def __init__(self, relay: Any) -> None:
        self._relay, self._real = relay, relay._exchanges

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    def sweep(self, now_us: int) -> None:
        self._relay._exchanges = self._real
        raise ValueError("ours")


def test_a_sweep_that_fails_is_counted_and_is_not_the_last(upstream: Any, weir: Any, tools: Any) -> None:
    through = weir(upstream(), head_timeout=0.3)
    through.relay._exchanges = FailsOnce(through.relay)
    tools.eventually(lambda: through.relay.stats().observer_errors == 1)
    slow = through.connect()
    slow.send(b"POST /mcp HT")
    assert slow.response().status == 408
    through.relay._recording.errors = 0  # what every test asks for in the end


def test_a_stream_and_an_idle_connection_outlive_the_head_timeout(upstream: Any, weir: Any, tools: Any) -> None:
    def stream(peer: Any, request: Any) -> None:
        if b"stream" not in request.start:
            tools.fixed()(peer, request)
            return
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        time.sleep(1.5)
        peer.send(b"9\r\ndata: 1\n\n\r\n0\r\n\r\n")

    through = weir(upstream(stream), head_timeout=0.3)
    idle = through.connect()
    assert idle.send(tools.get()).response().status == 200
    assert through.connect().send(tools.get(b"/mcp?stream")).response().body == b"data: 1\n\n"
    assert idle.send(tools.get()).response().status == 200


def test_connections_beyond_the_limit_are_503(upstream: Any, weir: Any, tools: Any) -> None:
    through = weir(upstream(), max_connections=3)
    held = [through.connect() for _ in range(3)]
    assert held[0].send(tools.get()).response().status == 200
    beyond = through.connect()
    assert beyond.response().status == 503 and beyond.at_end()
    held[1].close()
    tools.eventually(lambda: through.relay.stats().open_connections == 2)
    assert through.connect().send(tools.get()).response().status == 200
    assert through.relay.stats().turned_away == 1


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"TRACE /mcp HTTP/1.1\r\nHost: h\r\n\r\n", 405),
        (b"POST /mcp HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"GET /mcp HTTP/2.0\r\nHost: h\r\n\r\n", 505),
        (b"GET /mcp HTTP/1.1\r\nHost: h\r\nConnection: host\r\n\r\n", 400),
    ],
)
def test_what_is_refused_is_recorded(upstream: Any, weir: Any, tools: Any, head: bytes, status: int) -> None:
    server = upstream()
    through = weir(server)
    peer = through.connect().send(head)
    answer = peer.response()
    assert answer.status == status and answer.get(b"connection") == b"close" and peer.at_end()
    assert [c.status for c in through.closed()] == [status]
    assert server.requests == [] and through.relay.stats().refused == 1


def test_a_large_header_passes_and_too_large_ones_do_not(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    through = weir(server)
    token = b"Bearer " + b"t" * 60_000
    assert through.ask(tools.get(more=b"Authorization: %b\r\n" % token)).status == 200
    assert server.requests[0].get(b"authorization") == token
    many = b"".join(b"X-%d: %b\r\n" % (n, b"x" * 50_000) for n in range(10))
    for more in (many, b"X: " + b"x" * 70_000 + b"\r\n", b"".join(b"X-%d: y\r\n" % n for n in range(200))):
        assert through.ask(tools.get(more=more)).status in (400, 431)
    assert len(server.requests) == 1


def test_a_stalled_reader_holds_little_and_stalls_nobody(upstream: Any, weir: Any, tools: Any) -> None:
    """A 200 MiB event for readers that do not read: the upstream is paused, the client's own time is measured."""
    sent = [0] * 64

    def flood(peer: Any, request: Any) -> None:
        number = int(request.get(b"x-who"))
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.send(b"6\r\ndata: \r\n")
        block = b"10000\r\n" + b"x" * 65536 + b"\r\n"
        for _ in range(3200):
            peer.send(block)
            sent[number] += 65536
        peer.send(b"0\r\n\r\n")

    quick = upstream()
    through, other = weir(upstream(flood)), weir(quick)
    before = rss()
    peers = [through.connect(60).send(tools.get(more=b"X-Who: %d\r\n" % n)) for n in range(20)]
    levels: list[list[int]] = [[]]

    def still() -> bool:
        levels.append(list(sent))
        time.sleep(0.5)
        return levels[-1] == sent and all(sent[:20])

    tools.eventually(still, 40)  # a loaded machine starts twenty floods slowly
    assert max(sent) < 16 * MIB, "back-pressure reaches the upstream"
    assert rss() - before < 160 * MIB
    assert other.ask(tools.post(tools.call())).status == 200
    assert peers[0].response().body == b"data: " + b"x" * 3200 * 65536
    # the pool may have let go of its connection by then: a busy machine reads the end late
    tools.eventually(lambda: through.relay.stats().in_flight == 19)
    assert peers[0].send(tools.get(more=b"X-Who: 63\r\n")).head().status == 200, "its connection reads again"
    (closed,) = through.closed()
    assert closed.stall_us > 450_000, "it was still for half a second at least"
    assert closed.response_bytes == 6 + 3200 * 65536


def test_a_large_upload_holds_little(upstream: Any, weir: Any, tools: Any) -> None:
    """64 MiB up to a server that reads slowly: the client is paused, and memory stays flat."""
    go, got = threading.Event(), [0]
    server = upstream()

    def serve(sock: Any) -> None:
        peer = tools.Peer(sock, 30)
        peer.head()
        go.wait(10)
        while got[0] < 64 * MIB and (data := (peer.buffer or sock.recv(1 << 18))):
            got[0] += len(data)
            peer.buffer = b""
        tools.fixed()(peer, None)
        peer.close()

    server._serve = serve
    through = weir(server)
    peer = through.connect(30).send(b"POST /mcp HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % (64 * MIB))
    sending = threading.Thread(target=lambda: [peer.send(b"x" * MIB) for _ in range(64)])
    before = rss()
    sending.start()
    time.sleep(0.5)
    assert sending.is_alive() and rss() - before < 40 * MIB
    go.set()
    assert peer.response().status == 200
    sending.join()
    assert got[0] == 64 * MIB and rss() - before < 60 * MIB
    (closed,) = through.closed()
    assert closed.request_bytes == 64 * MIB and "oversized" in closed.flags


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_event_of_a_gibibyte_passes_and_holds_little(upstream: Any, weir: Any, tools: Any) -> None:
    def endless(peer: Any, request: Any) -> None:
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
        peer.send(b"6\r\ndata: \r\n")
        for _ in range(1024):
            peer.send(b"100000\r\n" + b"x" * MIB + b"\r\n")
        peer.send(b"2\r\n\n\n\r\n0\r\n\r\n")

    through = weir(upstream(endless))
    before, most, got = rss(), 0, 0
    peer = through.connect(60).send(tools.post(tools.call()))
    peer.head()
    while part := peer.chunk():
        got += len(part)
        most = max(most, rss() - before)
    assert part == b"" and got == 6 + 1024 * MIB + 2
    assert most < 100 * MIB
    assert "oversized" in through.closed()[0].flags


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_others_are_served_beside_five_hundred_slow_heads_and_two_hundred_stalled_readers(
    upstream: Any, weir: Any, tools: Any
) -> None:
    def answer(peer: Any, request: Any) -> None:
        if b"flood" in request.start:
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 67108864\r\n\r\n")
            for _ in range(64):
                peer.send(b"x" * MIB)
        else:
            tools.fixed()(peer, request)

    through = weir(upstream(answer), head_timeout=30)
    before = rss()
    slow = [through.connect().send(b"POST /mcp HTTP/1.1\r\nX: ") for _ in range(500)]
    stalled = [through.connect().send(tools.get(b"/mcp?flood")) for _ in range(200)]
    taken: list[float] = []
    quick = through.connect()
    for turn in range(300):
        slow[turn].send(b"x")
        began = time.monotonic()
        assert quick.send(tools.post(tools.call())).response().status == 200
        taken.append(time.monotonic() - began)
        time.sleep(0.01)
    assert sorted(taken)[297] < 0.1, "p99"
    assert rss() - before < 400 * MIB
    assert len(stalled) == 200
