"""Nothing malformed passes and nothing splits (P2): the classes of the public catalogues, in every combination.

The judge is the upstream: it counts what reached it. A request that carries the word `smuggled` in its target may
never arrive; of the outer request none arrives, or one whose target, headers and body are what was meant.
"""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

INNER = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNK = b"0\r\n\r\n"


def post(fields: list[bytes], body: bytes, version: bytes = b"HTTP/1.1", target: bytes = b"/outer") -> bytes:
    return b"POST %b %b\r\nHost: h\r\n%b\r\n%b" % (target, version, b"".join(f + b"\r\n" for f in fields), body)


def te_spellings() -> Iterator[bytes]:
    """Transfer-Encoding as one side takes it for chunked and the other does not (TE.TE)."""
    for value in (
        b"xchunked", b"chunked, identity", b"identity, chunked", b"chunked, chunked", b"gzip, chunked", b'"chunked"',
        b"chunked;q=1", b"chunked,", b",chunked", b"cow", b"chunk\x0bed", b"\x0bchunked", b"chunked\x0b",
        b"\x0cchunked",
        b"chunked\x00", b"chun\x00ked", b"\xffchunked", b"identity", b"deflate", b"chunked\x85", b"CHUNKED, x", b"",
    ):
        yield b"Transfer-Encoding: " + value
    for name in (
        b"Transfer-Encoding ", b" Transfer-Encoding", b"Transfer-Encoding\t", b"Transfer_Encoding",
        b"Transfer Encoding",
        b"X: x\nTransfer-Encoding", b"X: x\rTransfer-Encoding", b"Transfer-Encoding\x00", b"Transfer-Encoding\x0b",
        b"Content-Encoding", b"Transfer-\xc5ncoding", b"\x00Transfer-Encoding", b"Transfer-Encoding\r\n",
    ):
        yield name + b": chunked"
    yield b"Transfer-Encoding\n: chunked"
    yield b"Transfer-Encoding:\n chunked"
    yield b"Transfer-Encoding:\r\n chunked"
    yield b"Transfer-Encoding:\r\n\tchunked"
    yield b"X:\r\n Transfer-Encoding: chunked"


def length_spellings() -> Iterator[bytes]:
    for value in (
        b"+%d", b"-%d", b"0x%x", b"%d ", b"%d,%d", b"%d, %d", b"%d\x0b", b"\x0b%d", b"%d;x", b"0%d", b"00000%d",
        b"%d.0", b"%de0",
        b"%d\x00", b"\xd9\xa3%d", b"%d_0", b"1 %d", b"", b"99999999999999999999%d", b'"%d"', b"%d\xa0", b"%d\r",
        b" \t %d",
    ):
        size = len(INNER)
        yield b"Content-Length: " + (value % ((size,) * value.count(b"%")) if b"%" in value else value)
    for name in (b"Content-Length ", b" Content-Length", b"Content-Length\t", b"Content_Length",
    b"Content-Length\x00"):
        yield name + b": %d" % len(INNER)
    yield b"Content-Length:\r\n %d" % len(INNER)
    yield b"Content-Length:\n%d" % len(INNER)


def chunked_bodies() -> Iterator[bytes]:
    """Chunk framing that is wrong, or that parsers read differently."""
    for size in (
        b"0x5", b"+5", b"-5", b"5 ", b" 5", b"5\t", b"5 ;x", b"05", b"0000000000000000000005", b"5g", b"5;x=\n",
        b"5;\x00", b"5,",
        b"fffffffffffffffff", b"ffffffffffffffff5", b"10000000000000005", b"", b"5\x0b", b"5;x=\"\r\n\"", b"5_0",
        b"\xd9\xa5", b"5;a\rb",
    ):
        yield size + b"\r\nhello\r\n" + CHUNK
    yield from (
        b"5\nhello\r\n" + CHUNK, b"5\r\nhello\n" + CHUNK, b"5\r\nhello" + CHUNK, b"5\r\nhelloX\r\n" + CHUNK,
        b"5\rhello\r\n" + CHUNK,
        b"5\r\nhello\r\n0\n\n", b"5\r\nhello\r\n0\r\n\n", b"5\r\nhello\r\n0\r\nX: y\n\r\n",
        b"5\r\nhello\r\n0\r\nContent-Length: 99\r\n\r\n",
        b"5\r\nhello\r\n0\r\nTransfer-Encoding: x\r\n\r\n", b"5\r\nhello\r\n0\r\n X: y\r\n\r\n",
        b"5\r\nhello\r\n0\r\n\rX", b"0\r\r\n\r\n",
        b"5\r\nhello\r\n00\r\n\r\n", b"5\r\nhello\r\n0;ext\r\n\r\n", b"5\r\nhello\r\n0\r\nX : y\r\n\r\n",
        b"\r\n5\r\nhello\r\n" + CHUNK,
    )


def heads() -> Iterator[bytes]:
    """Heads that are wrong in themselves."""
    for line in (
        b"GET  /outer HTTP/1.1", b"GET /outer  HTTP/1.1", b"GET\t/outer\tHTTP/1.1", b" GET /outer HTTP/1.1",
        b"GET /outer", b"GET",
        b"GET /outer HTTP/1.1 ", b"GET /outer HTTP/2.0", b"GET /outer HTTP/0.9", b"GET /outer HTTP/1.2",
        b"GET /outer HTTP/11",
        b"GET /outer http/1.1", b"GET /outer HTTP/1.1\x00", b"GET /out\x00er HTTP/1.1", b"GET /out\ner HTTP/1.1",
        b"GET outer HTTP/1.1",
        b"GET /out er HTTP/1.1", b"get /outer HTTP/1.1", b"G@T /outer HTTP/1.1", b"TRACE /outer HTTP/1.1",
        b"CONNECT h:80 HTTP/1.1",
        b"CONNECT /outer HTTP/1.1", b"GET h:80 HTTP/1.1", b"GET http://other/outer HTTP/1.1",
        b"GET ftp://h/outer HTTP/1.1",
        b"GET //other/outer HTTP/1.1", b"GET http:///outer HTTP/1.1", b"GET * HTTP/1.1", b"PRI * HTTP/2.0",
        b"GET /outer HTTPS/1.1",
        b"GET /outer ICE/1.0", b"GET /outer RTSP/1.0", b"GET /outer\x0b HTTP/1.1", b"GET /outer\x7f HTTP/1.1",
        b"GET /outer#x HTTP/1.1",
        b"GET \\outer HTTP/1.1", b"GET ?outer HTTP/1.1", b"GET http://h@other/outer HTTP/1.1",
        b"GET http://[::1/outer HTTP/1.1",
    ):
        yield line + b"\r\nHost: h\r\n\r\n"
    for field in (
        b"X: a\x00b", b"X: a\rb", b"X: a\nb", b"X\x00: b", b"X y: b", b": b", b"X", b"X: a\r\n b", b"X: a\r\n\tb",
        b" X: b", b"X\xff: b",
        b"X: a\x0bb", b"X: \x7f", b"X: \x01", b"Host: other", b"host: h", b"X[]: b", b"X\t: b",
        b"Connection: content-length", b"X: a\r\r\nb: c",
        b"Connection: Host", b"Connection: x, Content-Length , y", b"Upgrade: h2c\r\nConnection: upgrade, host",
        b"X{}: 1", b'X": 1',
    ):
        yield b"POST /outer HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n" + field + b"\r\n\r\nhello"
    yield b"GET /outer HTTP/1.1\nHost: h\n\n" + INNER
    yield b"GET /outer HTTP/1.1\r\nHost: h\n\r\n"
    yield b"GET /outer HTTP/1.1\r\nHost: h\r\r\n\r\n"
    yield b"GET /outer HTTP/1.1\r\nHost: h\r\n\n"
    yield b"GET /outer HTTP/1.1\r\n\r\n"
    yield b"GET /outer HTTP/1.1\r\nHost: h\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(300)) + b"\r\n"
    yield b"GET /outer HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"
    yield b"GET /" + b"o" * 200_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256))


def corpus() -> Iterator[bytes]:
    inner = len(INNER)
    hidden = CHUNK + INNER  # whole for a reader of chunks, body for a reader of lengths
    for te in te_spellings():
        yield post([te], hidden)
        yield post([te, b"Content-Length: %d" % len(hidden)], hidden)
        yield post([b"Content-Length: %d" % len(hidden), te], hidden)
        yield post([b"Transfer-Encoding: chunked", te], hidden)
        yield post([te, b"Transfer-Encoding: chunked"], hidden)
        yield post([te], hidden, b"HTTP/1.0")
    for length in length_spellings():
        yield post([length], INNER)
        yield post([length, b"Content-Length: %d" % inner], INNER)
        yield post([b"Content-Length: 0", length], INNER)
        yield post([length, b"Transfer-Encoding: chunked"], hidden)
    for body in chunked_bodies():
        yield post([b"Transfer-Encoding: chunked"], body)
        yield post([b"Transfer-Encoding: chunked"], body + INNER.replace(b"GET", b"G\0T"))
    yield from heads()
    for method in (b"GET", b"HEAD", b"OPTIONS", b"DELETE"):
        yield b"%b /outer HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n%b" % (method, inner, INNER)
        head = b"%b /outer HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" % method
        yield head + b"%x\r\n%b\r\n0\r\n\r\n" % (inner, INNER)
    for upgrade in (b"websocket", b"h2c", b"TLS/1.0"):
        fields = [b"Connection: upgrade", b"Upgrade: " + upgrade, b"Content-Length: %d" % inner]
        yield post(fields, INNER)
        yield post([*fields[:2], b"Transfer-Encoding: chunked"], b"%x\r\n%b\r\n0\r\n\r\n" % (inner, INNER))


def sends(port: int, data: bytes) -> bytes:
    """Everything that comes back for `data`, until silence or the end."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.settimeout(0.25)
        got = b""
        try:
            sock.sendall(data)
            while part := sock.recv(65536):
                got += part
        except OSError:
            pass
        return got


def test_the_corpus_is_large() -> None:
    assert len(set(corpus())) >= 300


def test_no_input_splits(upstream: Any, weir: Any, tools: Any) -> None:
    server = upstream()
    through = weir(server)
    with ThreadPoolExecutor(12) as pool:
        cases = list(dict.fromkeys(corpus()))
        marked = [data.replace(b"/outer", b"/outer?%d," % n).replace(b"/smuggled", b"/smuggled?%d," % n)
                  for n, data in enumerate(cases)]
        answers = list(pool.map(lambda data: sends(through.port, data), marked))
    arrived: dict[int, list[Any]] = {}
    for request in server.requests:
        found = re.search(rb"\?(\d+),", request.start)
        arrived.setdefault(int(found[1]) if found else -1, []).append(request)
    for number, (data, got) in enumerate(zip(marked, answers, strict=True)):
        judge(data, got, [r for r in arrived.pop(number, []) if r.whole])
    assert not arrived, "whatever reached the upstream belongs to an input"
    assert len(server.requests) < len(cases) / 4, "most are refused"


def judge(data: bytes, got: bytes, arrived: list[Any]) -> None:
    shown = (data[:300], got[:80], [r.raw for r in arrived])
    pipelined = b"\r\nTransfer-Encoding: chunked\r\n" in data and data.endswith(INNER[-10:])
    assert len(arrived) <= 1 + pipelined, shown
    assert got.count(b"HTTP/1.1 200") == len(arrived), shown
    if not pipelined:
        assert not any(b"/smuggled" in request.start for request in arrived), shown
    for request in arrived:
        assert request.body in data, shown
        assert len({k.lower() for k, _ in request.fields} & {b"transfer-encoding", b"content-length"}) <= 1, shown
        for name, value in request.headers:
            assert name + b":" in data and value in data, shown
