"""What is not let in. aiohttp's llhttp (strict) has parsed the head; here is what HTTP allows and a proxy must not.

RFC 9110 7.6, RFC 9112 3.2, 6.1, 6.3 and 11.2. A refusal is a ClientFault: answered with its status, then closed.
"""

from urllib.parse import urlsplit

from mcp_weir.errors import ClientFault
from mcp_weir.relay.headers import Headers, nominated

_CONTROLS = bytes(set(range(32)) - {9}) + b"\x7f"
_NOT_IN_TARGETS = _CONTROLS + b" \t#"
_SIZES = frozenset(map(len, (b"host", b"connection", b"content-length", b"transfer-encoding")))
_NEEDED = frozenset({b"content-length", b"host"})
_FRAMING = frozenset({b"content-length", b"transfer-encoding"})


def check(method: str, target: bytes, version: tuple[int, int], headers: Headers) -> None:
    """Raises ClientFault for a request that is not forwarded."""
    if version not in ((1, 1), (1, 0)):
        raise ClientFault(505, "HTTP/1.1 only")
    if method in ("TRACE", "CONNECT"):
        raise ClientFault(405, f"{method} is not forwarded")
    text = b"".join([value for _, value in headers])  # one look at all values costs less than one at each
    if text.translate(None, _CONTROLS) != text:
        raise ClientFault(400, "a control character in a header")
    hosts: list[bytes] = []
    lengths: list[bytes] = []
    codings: list[bytes] = []
    for key, value in headers:
        if len(key) not in _SIZES:
            continue
        name = key.lower().replace(b"_", b"-")
        if name in _FRAMING and b"_" in key:
            raise ClientFault(400, "a header that CGI-like servers take for framing")
        if name == b"host":
            hosts.append(value)
        elif name == b"content-length":
            lengths.append(value)
        elif name == b"transfer-encoding":
            codings.append(value)
        elif name == b"connection" and _NEEDED & nominated([value]):
            raise ClientFault(400, "Connection nominates a header that every hop needs")
    _framing(version, lengths, codings)
    _target(method, target, hosts)


def _framing(version: tuple[int, int], lengths: list[bytes], codings: list[bytes]) -> None:
    if codings:
        if lengths:
            raise ClientFault(400, "Content-Length beside Transfer-Encoding")
        if version == (1, 0):
            raise ClientFault(400, "Transfer-Encoding in HTTP/1.0")
        if len(codings) > 1 or codings[0].lower() != b"chunked":
            raise ClientFault(501, "only the transfer coding chunked is understood")
    if lengths and (len(lengths) > 1 or not lengths[0].isdigit()):
        raise ClientFault(400, "Content-Length is not one number")


def _target(method: str, target: bytes, hosts: list[bytes]) -> None:
    if len(hosts) > 1:
        raise ClientFault(400, "more than one Host")
    if target.translate(None, _NOT_IN_TARGETS) != target:
        raise ClientFault(400, "the request target holds what no target may")
    if target.startswith(b"/") or (target == b"*" and method == "OPTIONS"):
        return
    if authority_of(target) is None or (hosts and authority_of(target) != hosts[0].lower()):
        raise ClientFault(400, "the request target must be a path, or a URL of this Host")


def authority_of(target: bytes) -> bytes | None:
    """The authority (lower case) of a target in absolute-form; None for what is none."""
    try:
        parts = urlsplit(target)
    except ValueError:
        return None
    return parts.netloc.lower() if parts.scheme in (b"http", b"https") and parts.netloc else None


def path_of(target: bytes) -> str:
    """The target in origin-form, as text, with its query: what the reader of traffic looks at."""
    if not target.startswith(b"/") and authority_of(target) is not None:
        _, _, rest = target.partition(b"://")
        target = b"/" + rest.partition(b"/")[2]
    return target.decode("latin-1")
