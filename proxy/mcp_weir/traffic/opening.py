"""What the head of a request says: the Opened fact. Pure."""

from functools import lru_cache
from urllib.parse import parse_qsl

import msgspec
from msgspec.structs import replace

from mcp_weir.traffic.facts import Opened
from mcp_weir.traffic.principals import principal_of
from mcp_weir.traffic.reading import Reading
from mcp_weir.traffic.text import clean
from mcp_weir.wire.headers import Headers, index


class HeadSaid(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What a request's head says, wherever and whenever it comes. Heads repeat: one may serve many exchanges.

    `headers` is their index by lower-case name, and is not to be altered. `opened` lacks what is of one exchange.
    """

    headers: dict[bytes, bytes]
    query: str
    opened: Opened


class RequestHead(msgspec.Struct, frozen=True, gc=False):
    """A request head as it came. `path` is without its query; `said` is what said_by() has made of it, if it has."""

    method: str
    path: str
    query: str
    headers: Headers
    client_addr: str | None
    connection: int
    connection_seq: int
    proxied: bool = False
    said: HeadSaid | None = None


def is_mcp_path(reading: Reading, path: str) -> bool:
    """A configured path, with or without its trailing slash. What merely lies beneath is another resource."""
    return path.rstrip("/") in _bare(reading.mcp_paths)


@lru_cache(maxsize=16)
def _bare(paths: tuple[str, ...]) -> frozenset[str]:
    return frozenset(path.rstrip("/") for path in paths)


def endpoint_session(query: str) -> bytes | None:
    """The session that an HTTP+SSE endpoint URL names; servers spell it session_id, sessionId or sessionid."""
    if not query:
        return None
    try:
        named = parse_qsl(query, max_num_fields=100)
    except ValueError:
        return None
    return next((value.encode() for name, value in named if name.lower().replace("_", "") == "sessionid"), None)


def said_by(reading: Reading, method: str, path: str, query: str, fields: Headers) -> HeadSaid:
    """Read a head."""
    headers = index(fields)
    session, source, transport = _session(method, path, query, headers)
    principal = principal_of(reading.principal, reading.keys, headers)
    keys = reading.keys
    version, agent = headers.get(b"mcp-protocol-version"), headers.get(b"user-agent")
    resumes = headers.get(b"last-event-id")
    handle = headers.get(reading.handle_header) if reading.handle_header else None
    opened = Opened(
        exchange=0,
        wall_us=0,
        mono_us=0,
        http_method=method,
        transport=transport,
        session=keys.session_key(session) if session else None,
        session_source=source if session else None,
        session_id=clean(session.decode("latin-1")) if session and reading.keep_session_ids else None,
        protocol_version=clean(version.decode("latin-1"), 32) if version else None,
        principal=principal.text if principal and reading.keep_principal else None,
        principal_key=principal.key if principal else None,
        user_agent=clean(agent.decode("utf-8", "replace")) if agent else None,
        resumes=keys.digest("event-id", resumes[:1024]) if resumes else None,
        handle=keys.digest("handle", handle) if handle else None,
    )
    return HeadSaid(headers=headers, query=query, opened=opened)


def opened_of(said: HeadSaid, head: RequestHead, exchange: int, wall_us: int, mono_us: int) -> Opened:
    """The fact of a request head that came here and now."""
    return replace(
        said.opened, exchange=exchange, wall_us=wall_us, mono_us=mono_us, client_addr=head.client_addr,
        connection=head.connection, connection_seq=head.connection_seq, proxied=head.proxied,
    )


def _session(
    method: str, path: str, query: str, headers: dict[bytes, bytes]
) -> tuple[bytes | None, str, str]:
    """(session id, its source, transport). The session header beats the query: HTTP+SSE knows no such header."""
    named = headers.get(b"mcp-session-id")
    if named:
        return named, "header", "http"
    if method == "GET" and path.rstrip("/").endswith("/sse"):
        return None, "endpoint", "sse"
    if method == "POST":
        named = endpoint_session(query)
        if named or path.startswith("/messages"):
            return named, "endpoint", "messages"
    return None, "header", "http"
