"""Inputs that one side of a proxy may take for another request than the other side does, and their judge (P2).

The classes of the public catalogues (CL.TE, TE.CL, TE.TE, CL.0, chunk terminators and extensions, obs-fold, bare LF and
CR, NUL, targets, Host, Expect, Upgrade), in every combination that makes sense.
"""

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

INNER = b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n"
CHUNK = b"0\r\n\r\n"
_CHUNKED = re.compile(rb"(?i)\r\ntransfer-encoding:[ \t]*chunked[ \t]*\r\n")


def post(fields: list[bytes], body: bytes, version: bytes = b"HTTP/1.1", target: bytes = b"/outer") -> bytes:
    return b"POST %b %b\r\nHost: h\r\n%b\r\n%b" % (target, version, b"".join(f + b"\r\n" for f in fields), body)


def te_spellings() -> Iterator[bytes]:
    """Transfer-Encoding as one side takes it for chunked and the other does not (TE.TE)."""
    for value in (
        b"xchunked", b"chunked, identity", b"identity, chunked", b"chunked, chunked", b"gzip, chunked", b'"chunked"',
        b"chunked;q=1", b"chunked,", b",chunked", b"cow", b"chunk\x0bed", b"\x0bchunked", b"chunked\x0b",
        b"\x0cchunked",
        b"chunked\x00", b"chun\x00ked", b"\xffchunked", b"identity", b"deflate", b"chunked\x85", b"CHUNKED, x", b"",
        b"\tchunked", b"chunked\t", b"chunked ", b" \t chunked \t ", b"ChUnKeD", b"chu\tnked", b"chunked\r",
        b"\rchunked",
        b"chunked;", b"chunked; x=y", b"trailers, chunked", b"chunked, trailers", b"chunked chunked", b"'chunked'",
        b"chunked\xa0", b"\xc2\xa0chunked", b"c\xcchunked", b"chunked/1.0", b"chunked\x1f", b"compress, chunked",
        b"chunked,,", b"identity, identity", b"null", b"chunked\\", b"chunke", b"unchunked", b"chunked\x7f",
    ):
        yield b"Transfer-Encoding: " + value
    for name in (
        b"Transfer-Encoding ", b" Transfer-Encoding", b"Transfer-Encoding\t", b"Transfer_Encoding",
        b"Transfer Encoding",
        b"X: x\nTransfer-Encoding", b"X: x\rTransfer-Encoding", b"Transfer-Encoding\x00", b"Transfer-Encoding\x0b",
        b"Content-Encoding", b"Transfer-\xc5ncoding", b"\x00Transfer-Encoding", b"Transfer-Encoding\r\n",
        b"TRANSFER-ENCODING", b":Transfer-Encoding", b"Transfer-Encoding:", b"\tTransfer-Encoding",
        b"Transfer--Encoding",
        b"Transfer-Encoding\xa0", b"Transfer\x2d\x2dEncoding", b"Transfer.Encoding", b"(Transfer-Encoding", b"TE",
        b"X: x\r\n\tTransfer-Encoding", b"X: x\n\rTransfer-Encoding", b"X: x\x00\r\nTransfer-Encoding",
        b"Connection: transfer-encoding\r\nTransfer-Encoding", b"Trailer: x\r\nTransfer-Encoding",
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
        b" \t %d", b"%d\t", b"%d\x00%d", b"%d\x0c", b"%d\x85", b"0b1", b"0o%o", b"%d:", b"%d %d", b"%d\n", b"\r%d",
        b"%d\x1f",
        b"- %d", b"+0", b"-0", b"18446744073709551616", b"18446744073709551649", b"9223372036854775808",
        b"4294967329", b"2147483648", b"nan", b"inf", b"%d%%", b"'%d'", b",%d", b"%d,", b"%d, 0", b"0, %d",
    ):
        size = len(INNER)
        places = value.count(b"%") - 2 * value.count(b"%%")
        yield b"Content-Length: " + (value % ((size,) * places) if b"%" in value else value)
    for name in (b"Content-Length ", b" Content-Length", b"Content-Length\t", b"Content_Length",
                 b"Content-Length\x00", b"CONTENT-LENGTH", b"Content-Length\xa0", b":Content-Length", b"Content Length",
                 b"\tContent-Length", b"X: x\rContent-Length", b"X: x\nContent-Length",
                 b"Connection: close, content-length\r\nContent-Length"):
        yield name + b": %d" % len(INNER)
    yield b"Content-Length:\r\n %d" % len(INNER)
    yield b"Content-Length:\n%d" % len(INNER)


def chunked_bodies() -> Iterator[bytes]:
    """Chunk framing that is wrong, or that parsers read differently."""
    for size in (
        b"0x5", b"+5", b"-5", b"5 ", b" 5", b"5\t", b"5 ;x", b"05", b"0000000000000000000005", b"5g", b"5;x=\n",
        b"5;\x00", b"5,",
        b"fffffffffffffffff", b"ffffffffffffffff5", b"10000000000000005", b"", b"5\x0b", b"5;x=\"\r\n\"", b"5_0",
        b"\xd9\xa5", b"5;a\rb", b"0x", b"0X5", b"5h", b"$5", b"5.", b"5.0", b"5:x", b"5=x", b"5\x00", b"\x005",
        b"5\xa0", b"5\x0c",
        b"5\r", b"\r5", b"5;\r", b"5;", b"5;;", b"5; a = b", b'5;a="', b'5;a="\x00"', b"5;a\x0b", b"5;a\x7f", b"5;\xff",
        b"7fffffffffffffff", b"8000000000000000", b"ffffffffffffffff", b"80000005", b"100000005", b"5 5", b"5, 5",
        b"0000000000000000000000000000000000000000000000000000000000000000005", b"5;" + b"x" * 20_000,
        b"5;" + b"x" * 200_000, b"5" + b";a=b" * 5_000, b"5" + b" " * 20_000, b"0" * 20_000 + b"5", b"f" * 20_000,
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
        # terminators that one side takes for two bytes and the other for one, or for a part of an extension
        b"5;\nhello\r\n" + CHUNK, b"5;a\nhello\r\n" + CHUNK, b"5;a\n\r\nhello\r\n" + CHUNK, b"5\r\r\nhello\r\n" + CHUNK,
        b"5\n\r\nhello\r\n" + CHUNK, b"5\r\nhello\r\r\n" + CHUNK, b"5\r\nhello\n\n" + CHUNK, b"5\r\nhello\r" + CHUNK,
        b"5\r\nhelloXX" + CHUNK, b"5\r\nhello\r\n0\r\nX: y", b"5\r\nhello\r\n0\r\n\r", b"5\r\nhello\r\n-0\r\n\r\n",
        b"5\r\nhello\r\n+0\r\n\r\n", b"5\r\nhello\r\n0x0\r\n\r\n", b"5\r\nhello\r\n0 \r\n\r\n",
        b"5\r\nhello\r\n\r\n" + CHUNK,
        b"5\r\nhello\r\n0\r\nHost: other\r\n\r\n", b"5\r\nhello\r\n0\r\nX\x00: y\r\n\r\n",
        b"5\r\nhello\r\n0\r\n: y\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX: y\x00\r\n\r\n", b"5\r\nhello\r\n0\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 2_000 + b"\r\n", b"5\r\nhello\r\n0\r\nX: y\r\n Z: z\r\n\r\n",
        b"5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n",
        b"5\r\nhello\r\n0\r\nX: y\r\r\n\r\n",
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
        b"GET http://h:80/outer HTTP/1.1", b"GET http://h./outer HTTP/1.1", b"GET http://H/outer HTTP/1.1",
        b"GET http://h\\@other/outer HTTP/1.1", b"GET http://h#@other/outer HTTP/1.1", b"GET http:/outer HTTP/1.1",
        b"GET http:outer HTTP/1.1", b"GET file:///outer HTTP/1.1", b"GET javascript:/outer HTTP/1.1",
        b"POST * HTTP/1.1", b"OPTIONS *x HTTP/1.1", b"GET /outer\r HTTP/1.1", b"GET /outer HTTP/1.1\rX: y",
        b"GET /outer HTTP/1.1\nX: y", b"GET /outer HTTP/01.1", b"GET /outer HTTP/1.01", b"GET /outer HTTP/1,1",
        b"GET /outer HTTP/1.10", b"GET /outer HTTP/+1.1", b"GET /outer HTTP/1. 1", b"GET /outer HTTP 1.1",
        b"GET /outer HTTP/3", b"GET /outer SIP/2.0", b"GET /outer?\x85 HTTP/1.1", b"GET /outer?\xff HTTP/1.1",
        b"\x00GET /outer HTTP/1.1", b"\xef\xbb\xbfGET /outer HTTP/1.1", b"GE\x00T /outer HTTP/1.1",
        b"GET,POST /outer HTTP/1.1",
        b"TRACK /outer HTTP/1.1", b"CONNECT h:80 HTTP/1.0", b"CONNECT http://h/outer HTTP/1.1", b"CONNECT * HTTP/1.1",
        b"TRACE * HTTP/1.1", b"trace /outer HTTP/1.1", b"M-SEARCH /outer HTTP/1.1", b"SOURCE /outer ICE/1.0",
    ):
        yield line + b"\r\nHost: h\r\n\r\n"
    for field in (
        b"X: a\x00b", b"X: a\rb", b"X: a\nb", b"X\x00: b", b"X y: b", b": b", b"X", b"X: a\r\n b", b"X: a\r\n\tb",
        b" X: b", b"X\xff: b",
        b"X: a\x0bb", b"X: \x7f", b"X: \x01", b"Host: other", b"host: h", b"X[]: b", b"X\t: b",
        b"Connection: content-length", b"X: a\r\r\nb: c",
        b"Connection: Host", b"Connection: x, Content-Length , y", b"Upgrade: h2c\r\nConnection: upgrade, host",
        b"X{}: 1", b'X": 1',
        b"Host : h", b"Host\x00: h", b" Host: h", b"Host:\r\n other", b"Host: h, other", b"Host: h\x00", b"HOST: other",
        b"Host_: other", b"Connection: Transfer-Encoding", b"Connection: \x00",
        b"Connection: close\r\nConnection: host",
        b"Connection: keep-alive, CONTENT-LENGTH", b"X: a\r\n\r", b"X: a\x0c", b"X: a\x1b[2J", b"X\x7f: b", b"\x00: b",
        b"X: a\r\n\x0bb: c", b"X: \r", b"X:\r\r\n", b"X: a\n\rY: b", b"X : b", b"X: b\r\nY", b"\xa0X: b", b"X@: b",
        b"X(c): b",
        b"Content-Length: 5", b"Content-Length: 6", b"content-length:5", b"Content-Length: 5\r\nContent-Length:",
    ):
        yield b"POST /outer HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n" + field + b"\r\n\r\nhello"
    for host in (b"", b"h/../outer", b"h@other", b'"h"', b"h other", b"h#", b"h?x", b"http://h", b"[::1", b"h:x",
                 b"h:80:80",
                 b"h\\other", b"\xff", b"h\t", b"*", b"h,other"):
        yield b"GET /outer HTTP/1.1\r\nHost: %b\r\n\r\n" % host
        yield b"GET http://h/outer HTTP/1.1\r\nHost: %b\r\n\r\n" % host
    for start in (b"\r\n", b"\r\n\r\n", b"\n", b"\n\n", b"\r", b"\0", b" ", b"\t", b"\xff", b"0\r\n\r\n", b"hello"):
        yield start + b"GET /outer HTTP/1.1\r\nHost: h\r\n\r\n"
    yield b"GET /outer HTTP/1.1\nHost: h\n\n" + INNER
    yield b"GET /outer HTTP/1.1\r\nHost: h\n\r\n"
    yield b"GET /outer HTTP/1.1\r\nHost: h\r\r\n\r\n"
    yield b"GET /outer HTTP/1.1\r\nHost: h\r\n\n"
    yield b"GET /outer HTTP/1.1\r\n\r\n"
    yield b"GET /outer HTTP/1.1\r\nHost: h\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(300)) + b"\r\n"
    yield b"GET /outer HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 200_000 + b"\r\n\r\n"
    yield b"GET /" + b"o" * 200_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256))


def expectations() -> Iterator[bytes]:
    """`Expect` as no client writes it, before a body that holds another request (0.CL, CL.0)."""
    for value in (b"100-continue", b"100-Continue", b"y 100-continue", b"100-continue, x",
                 b"100-continue\r\nExpect: x", b"x",
                  b"", b"\r\n 100-continue", b"100-continue\x00", b"200-ok", b"100-continue;q=1", b'"100-continue"'):
        yield post([b"Expect: " + value, b"Content-Length: %d" % len(INNER)], INNER)
        yield post([b"Expect: " + value, b"Transfer-Encoding: chunked"], b"%x\r\n%b\r\n" % (len(INNER), INNER) + CHUNK)
        yield post([b"Expect: " + value, b"Content-Length: 0", b"Transfer-Encoding: chunked"], CHUNK + INNER)


def old_versions() -> Iterator[bytes]:
    """HTTP/1.0 that wants to stay, or to be framed as if it were newer."""
    for keep in (b"Connection: keep-alive", b"Keep-Alive: timeout=5", b"Connection: close",
                 b"Proxy-Connection: keep-alive"):
        yield post([keep, b"Content-Length: %d" % len(INNER)], INNER, b"HTTP/1.0")
        yield post([keep, b"Transfer-Encoding: chunked"], CHUNK + INNER, b"HTTP/1.0")
        yield post([keep, b"Transfer-Encoding: chunked", b"Content-Length: 5"], CHUNK + INNER, b"HTTP/1.0")
        yield post([keep, b"Expect: 100-continue", b"Content-Length: %d" % len(INNER)], INNER, b"HTTP/1.0")


def corpus() -> Iterator[bytes]:
    """All of them."""
    yield from expectations()
    yield from old_versions()
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


def sends(port: int, data: bytes, silence: float = 0.25) -> bytes:
    """Everything that comes back for `data`, until silence or the end."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.settimeout(silence)
        got = b""
        try:
            sock.sendall(data)
            while part := sock.recv(65536):
                got += part
        except OSError:
            pass
        return got


class Sent:
    """One input, what came back for it, and what of it reached the upstream."""

    def __init__(self, data: bytes, got: bytes) -> None:
        self.data, self.got, self.arrived = data, got, list[Any]()

    @property
    def unanswered(self) -> bool:
        """Something arrived whose answer did not come before we stopped listening: on a busy machine it is late."""
        return self.got.count(b"HTTP/1.1 200") < sum(request.whole for request in self.arrived)


def send_all(port: int, server: Any, cases: list[bytes], threads: int = 24) -> list[Sent]:
    """Each case marked with its number, so that it is known again at the upstream; those answered late once more."""
    with ThreadPoolExecutor(threads) as pool:
        marked = [_marked(data, number) for number, data in enumerate(cases)]
        answers = pool.map(lambda data: sends(port, data), marked)
        sent = [Sent(data, got) for data, got in zip(marked, answers, strict=True)]
        _sort(server, sent, 0)
        late = [(number, one) for number, one in enumerate(sent) if one.unanswered]
        again = [_marked(cases[number], len(cases) + at) for at, (number, _) in enumerate(late)]
        found = list(pool.map(lambda data: sends(port, data, 10), again))
    more = [Sent(data, got) for data, got in zip(again, found, strict=True)]
    _sort(server, more, len(cases))
    for (number, _), one in zip(late, more, strict=True):
        sent[number] = one
    return sent


def _marked(data: bytes, number: int) -> bytes:
    return data.replace(b"/outer", b"/outer?%d," % number).replace(b"/smuggled", b"/smuggled?%d," % number)


def _sort(server: Any, sent: list[Sent], first: int) -> None:
    """Give each input what arrived of it. Raises AssertionError for what arrived and belongs to none."""
    for request in server.requests:
        found = re.search(rb"\?(\d+),", request.start)
        number = int(found[1]) - first if found else -1
        assert found or b"/.well-known" in request.start, f"it belongs to no input: {request.start!r}"
        if 0 <= number < len(sent):
            sent[number].arrived.append(request)


def judge(one: Sent) -> None:
    """Raises AssertionError for what was split or altered."""
    data, got, arrived = one.data, one.got, [request for request in one.arrived if request.whole]
    shown = (data[:300], got[:80], [r.raw for r in arrived])
    pipelined = _CHUNKED.search(data) is not None and data.endswith(INNER[-10:])  # the second is a request by right
    assert len(arrived) <= 1 + pipelined, shown
    assert got.count(b"HTTP/1.1 200") == len(arrived), shown
    if not pipelined:
        assert not any(b"/smuggled" in request.start for request in arrived), shown
    for request in arrived:
        assert request.body in data, shown
        assert len({k.lower() for k, _ in request.fields} & {b"transfer-encoding", b"content-length"}) <= 1, shown
        for name, value in request.headers:
            assert name + b":" in data and value in data, shown
