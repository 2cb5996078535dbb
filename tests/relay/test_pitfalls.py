"""The rows of the aiohttp list of pitfalls that no other file here stands for: one test each, named for its row.

Elsewhere: an idle stream's client leaves, an upstream dies mid-body, POST in the keep-alive race, an early 413
(test_broken); targets, gzip, added headers, duplicates and nominated names (test_transparency); versions, TRACE,
codings, absolute-form (test_guard, test_limits); 64 KiB headers (test_limits); an open stream (test_drain).
"""

import logging
import time
from typing import Any

import pytest
from aiohttp.http_parser import HttpRequestParser

from mcp_weir.errors import UsageError
from mcp_weir.relay import exchanges
from mcp_weir.relay import server as relay_server

STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_no_cookie_of_one_client_is_sent_with_another_s_request(upstream: Any, weir: Any, tools: Any) -> None:
    head = b"HTTP/1.1 200 OK\r\nSet-Cookie: session=alice; Path=/\r\n"
    server = upstream(tools.fixed(b"{}", head))
    through = weir(server)
    assert through.ask(tools.get()).get(b"set-cookie") == b"session=alice; Path=/"
    through.ask(tools.get())
    assert all(request.get(b"cookie") is None for request in server.requests)


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(upstream: Any, weir: Any, tools: Any, status: int) -> None:
    head = b"HTTP/1.1 %d Elsewhere\r\nLocation: http://weir/mcp/\r\n" % status
    server = upstream(tools.fixed(b"", head))
    answer = weir(server).ask(tools.post(tools.call()))
    assert (answer.status, answer.get(b"location")) == (status, b"http://weir/mcp/")
    assert len(server.requests) == 1


@pytest.mark.parametrize("method", [b"GET", b"DELETE", b"PUT", b"HEAD", b"OPTIONS"])
def test_nothing_is_sent_twice_not_even_what_might_be(upstream: Any, weir: Any, tools: Any, method: bytes) -> None:
    def once(peer: Any, request: Any) -> bool:
        if len(server.requests) == 1:
            tools.fixed()(peer, request)
            return True
        return False  # a warm connection that closes on the second request

    server = upstream(once)
    peer = weir(server).connect()
    assert peer.send(tools.get()).response().status == 200
    assert peer.send(tools.get().replace(b"GET", method, 1)).response(method == b"HEAD").status == 502
    assert len(server.requests) == 2


def test_a_stream_outlives_every_timeout_that_is_not_its_own(upstream: Any, weir: Any, tools: Any) -> None:
    def late(peer: Any, request: Any) -> None:
        peer.send(STREAM)
        time.sleep(1.2)
        peer.send(b"9\r\ndata: 1\n\n\r\n0\r\n\r\n")

    through = weir(upstream(late), connect_timeout=0.2, head_timeout=0.2)
    assert through.ask(tools.post(tools.call())).body == b"data: 1\n\n"


def test_bytes_that_are_no_utf8_pass_as_they_are(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream(tools.fixed(b"{}", b"HTTP/1.1 200 OK\r\nX-Back: \xff\xc3\r\n"))
    answer = weir(server).ask(tools.get(more=b"X-There: \xe9\xff\r\n"))
    assert server.requests[0].get(b"x-there") == b"\xe9\xff" and answer.get(b"x-back") == b"\xff\xc3"


def test_what_is_refused_is_not_in_the_log(
    upstream: Any, weir: Any, tools: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    through = weir(upstream())
    secret = b"Authorization: Bearer canary-token\r\nX: a\x00b\r\n"
    assert through.ask(tools.get(more=secret)).status == 400
    assert through.ask(tools.get(b"/mcp?canary-token\x01")).status == 400
    assert "canary" not in caplog.text


def test_without_the_c_parser_it_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    class Slow(HttpRequestParser):  # type: ignore[misc,valid-type]
        pass

    Slow.__module__ = "aiohttp.http_parser"
    monkeypatch.setattr(relay_server, "HttpRequestParser", Slow)
    with pytest.raises(UsageError, match="C parser"):
        relay_server.Relay(None, lambda lines: None, lambda minute: None)  # type: ignore[arg-type]


def test_an_upgrade_of_java_s_client_is_left_out_and_its_body_passes(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream(lambda peer, request: tools.fixed(request.body)(peer, request))
    more = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
    peer = weir(server).connect()
    for _ in range(2):
        assert peer.send(tools.post(tools.call(), more=more)).response().body == tools.call()
    assert server.requests[0].get(b"upgrade") is None and server.requests[0].get(b"http2-settings") is None


def test_a_websocket_s_body_is_never_the_next_request(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    inner = tools.get(b"/smuggled")
    asked = tools.post(inner, more=b"Connection: Upgrade\r\nUpgrade: websocket\r\n")
    peer = weir(server).connect()
    for _ in range(2):
        assert peer.send(asked).response().status == 200
    assert [request.body for request in server.requests] == [inner, inner]


def test_a_fault_of_our_own_is_a_cut_and_no_second_answer(
    upstream: Any, weir: Any, tools: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    through = weir(upstream())

    def broken(*said: object) -> bytes:
        raise RuntimeError("canary")

    monkeypatch.setattr(exchanges, "request_head", broken)
    assert through.connect().send(tools.get()).at_end()  # on the quick way, where it was not yet an exchange
    begun = b"POST /mcp HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n"
    assert through.connect().send(begun).at_end()  # and on the patient one
    monkeypatch.undo()
    assert through.ask(tools.get()).status == 200
    assert [c.closed_by for c in through.closed(2)] == ["client", "complete"]
