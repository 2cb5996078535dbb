"""The guard without the parser before it: aiohttp's refuses much of this today, and the guard must not lean on it."""

import pytest

from mcp_weir.errors import ClientFault
from mcp_weir.relay import guard
from mcp_weir.relay.headers import Headers

HOST = (b"Host", b"h")
CHUNKED, LENGTH = (b"Transfer-Encoding", b"chunked"), (b"Content-Length", b"5")
Version = tuple[int, int]


def refused(
    headers: Headers, method: str = "POST", target: bytes = b"/mcp", version: Version = (1, 1)
) -> int | None:
    """The status of the refusal; None for what passes."""
    try:
        guard.check(method, target, version, headers)
    except ClientFault as fault:
        return fault.status
    return None


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ((LENGTH,), None),
        ((CHUNKED,), None),
        (((b"transfer-encoding", b"Chunked"),), None),
        ((), None),
        ((LENGTH, CHUNKED), 400),
        ((CHUNKED, LENGTH), 400),
        (((b"tRANSFER-eNCODING", b"chunked"), (b"cONTENT-lENGTH", b"0")), 400),
        ((CHUNKED, CHUNKED), 501),
        (((b"Transfer-Encoding", b"gzip, chunked"),), 501),
        (((b"Transfer-Encoding", b"chunked, identity"),), 501),
        (((b"Transfer-Encoding", b"xchunked"),), 501),
        (((b"Transfer-Encoding", b"identity"),), 501),
        (((b"Transfer-Encoding", b""),), 501),
        (((b"Transfer-Encoding", b"chunked\t"),), 501),
        (((b"Transfer-Encoding", b"\x0bchunked"),), 400),
        (((b"Transfer_Encoding", b"chunked"),), 400),
        (((b"Content_Length", b"5"),), 400),
        ((LENGTH, LENGTH), 400),
        (((b"Content-Length", b"5, 5"),), 400),
        (((b"Content-Length", b"+5"),), 400),
        (((b"Content-Length", b"-5"),), 400),
        (((b"Content-Length", b"0x5"),), 400),
        (((b"Content-Length", b"5_0"),), 400),
        (((b"Content-Length", b""),), 400),
        (((b"Content-Length", "\u0665".encode()),), 400),
        (((b"Connection", b"content-length"), LENGTH), 400),
        (((b"Connection", b"x ,\tHOST"),), 400),
        (((b"Connection", b"close"),), None),
        ((HOST,), 400),
        (((b"X", b"a\x00b"),), 400),
        (((b"X", b"a\rb"),), 400),
        (((b"X", b"a\nb"),), 400),
        (((b"X", b"a\x7fb"),), 400),
        (((b"X", b"a\tb"),), None),
        (((b"X", b"\xff"),), None),
    ],
)
def test_fields(fields: Headers, status: int | None) -> None:
    assert refused((HOST, *fields)) == status


@pytest.mark.parametrize(
    ("version", "status"), [((1, 1), None), ((1, 0), None), ((2, 0), 505), ((0, 9), 505), ((1, 2), 505), ((3, 0), 505)]
)
def test_versions(version: Version, status: int | None) -> None:
    assert refused((HOST, LENGTH), version=version) == status
    assert refused((HOST, CHUNKED), version=version) == (400 if version == (1, 0) else status)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", b"/", None), ("GET", b"//other/x", None), ("GET", b"/a%00", None), ("OPTIONS", b"*", None),
        ("GET", b"*", 400), ("GET", b"", 400), ("GET", b"mcp", 400), ("GET", b"?x", 400),
        ("GET", b"/a b", 400), ("GET", b"/a\tb", 400), ("GET", b"/a#b", 400), ("GET", b"/a\x00", 400),
        ("GET", b"/a\r\nX: y", 400), ("GET", b"/a\x7f", 400),
        ("GET", b"http://h/x", None), ("GET", b"HTTP://H/x", None), ("GET", b"https://h/x", None),
        ("GET", b"http://other/x", 400), ("GET", b"http://h:80/x", 400), ("GET", b"http://u@h/x", 400),
        ("GET", b"http://other@h/x", 400), ("GET", b"http:///x", 400), ("GET", b"ftp://h/x", 400),
        ("GET", b"file:///etc/passwd", 400), ("GET", b"http://[::1/x", 400), ("GET", b"h:80", 400),
        ("CONNECT", b"h:80", 405), ("CONNECT", b"/x", 405), ("TRACE", b"/x", 405),
    ],
)
def test_targets(method: str, target: bytes, status: int | None) -> None:
    assert refused((HOST,), method, target) == status


def test_a_url_without_a_host_field_passes_and_names_its_path() -> None:
    assert refused((), "GET", b"http://h/x", (1, 0)) is None
    assert guard.path_of(b"http://h/x?y=1") == "/x?y=1"
    assert guard.path_of(b"http://h") == "/"
    assert guard.path_of(b"/http://h/x") == "/http://h/x"
