"""SIGTERM drains: requests finish, streams end between events, nothing new is let in (P12)."""

import threading
import time
from typing import Any

import pytest

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def event(text: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(text), text)


@pytest.mark.parametrize("line_end", [b"\n", b"\r\n", b"\r"])
def test_a_standing_stream_ends_between_two_events(
    upstream: Any, weir: Any, tools: Any, line_end: bytes
) -> None:
    go = threading.Event()

    def half(peer: Any, request: Any) -> bool:
        peer.send(HEAD + event(b"data: 1" + line_end * 2) + event(b"data: 2" + line_end))
        go.wait(5)
        peer.send(event(line_end + b"data: 3" + line_end * 2 + b"data: 4"))
        peer.more()
        return False

    through = weir(upstream(half), drain_timeout=5)
    peer = through.connect().send(tools.get())
    peer.head()
    assert peer.chunk() == b"data: 1" + line_end * 2 + b"data: 2" + line_end
    through.begin_drain()
    time.sleep(0.1)
    assert not through.of(tools.Closed), "the middle of an event is no place to end"
    go.set()
    assert peer.chunk() == line_end + b"data: 3" + line_end * 2 and peer.chunk() == b""
    assert peer.at_end()
    assert through.closed()[0].closed_by == "drain"


def test_a_stream_between_events_ends_at_once(upstream: Any, weir: Any, tools: Any) -> None:
    def quiet(peer: Any, request: Any) -> bool:
        peer.send(HEAD + event(b"data: 1\n\n"))
        peer.more()
        return False

    through = weir(upstream(quiet), drain_timeout=5)
    peer = through.connect().send(tools.get())
    assert peer.head() and peer.chunk() == b"data: 1\n\n"
    began = time.monotonic()
    through.begin_drain()
    assert peer.chunk() == b"" and peer.at_end()
    assert time.monotonic() - began < 0.5 and through.closed()[0].closed_by == "drain"


@pytest.mark.parametrize("streamed", [True, False])
def test_a_running_call_is_finished(upstream: Any, weir: Any, tools: Any, streamed: bool) -> None:
    go = threading.Event()
    result = b'{"jsonrpc":"2.0","id":1,"result":{}}'

    def slow(peer: Any, request: Any) -> None:
        if streamed:
            peer.send(HEAD + event(b": hello\n\n"))
        go.wait(5)
        if streamed:
            peer.send(event(b"data: " + result + b"\n\n") + b"0\r\n\r\n")
        else:
            tools.fixed(result)(peer, request)

    server = upstream(slow)
    through = weir(server, drain_timeout=5)
    peer = through.connect().send(tools.post(tools.call()))
    tools.eventually(lambda: server.requests)
    through.begin_drain()
    time.sleep(0.15)
    go.set()
    answer = peer.response()
    assert answer.whole and result in answer.body and peer.at_end()
    assert through.closed()[0].closed_by == "complete"


def test_idle_connections_close_and_nothing_new_is_let_in(upstream: Any, weir: Any, tools: Any) -> None:
    go = threading.Event()
    server = upstream(lambda peer, request: (go.wait(5), tools.fixed()(peer, request)))
    through = weir(server, drain_timeout=5)
    idle, busy = through.connect(), through.connect().send(tools.get())
    tools.eventually(lambda: server.requests)
    through.begin_drain()
    assert idle.at_end()
    with pytest.raises(OSError):
        tools.Peer(through.connect().sock).send(tools.get()).response()
    go.set()
    answer = busy.response()
    assert answer.status == 200 and answer.get(b"connection") == b"close"


def test_what_outlives_the_timeout_is_cut(upstream: Any, weir: Any, tools: Any) -> None:
    def forever(peer: Any, request: Any) -> bool:
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        peer.more()
        return False

    through = weir(upstream(forever), drain_timeout=0.3)
    peer = through.connect().send(tools.post(tools.call()))
    peer.head()
    through.begin_drain()
    answer = peer.exactly(10)
    assert answer == b"half" and through.closed()[0].closed_by == "drain"


def test_a_second_signal_waits_for_nothing(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream(lambda peer, request: peer.more())
    through = weir(server, drain_timeout=60)
    through.connect().send(tools.post(tools.call()))
    tools.eventually(lambda: server.requests)
    through.begin_drain()
    began = time.monotonic()
    through.loop.call_soon_threadsafe(through.relay.hurry)
    assert through.closed(within=1)[0].closed_by == "drain"
    through.stop()
    assert time.monotonic() - began < 1


def test_a_stream_that_is_silent_for_too_long_is_ended_where_asked(upstream: Any, weir: Any, tools: Any) -> None:
    def quiet(peer: Any, request: Any) -> bool:
        peer.send(HEAD + event(b"data: 1\n\n"))
        peer.more()
        return False

    peer = weir(upstream(quiet), stream_idle_timeout=0.3).connect().send(tools.get())
    assert peer.response().whole
