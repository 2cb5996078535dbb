"""What the head of a request says: the Opened fact. Pure."""

import dataclasses
from functools import lru_cache
from urllib.parse import parse_qsl

from mcp_weir.traffic.facts import Opened
from mcp_weir.traffic.principals import principal_of
from mcp_weir.traffic.reading import Reading
from mcp_weir.traffic.text import clean


@dataclasses.dataclass(frozen=True, slots=True)
class RequestHead:
    """A request head as it came. `path` is without its query."""

    method: str
    path: str
    query: str
    headers: tuple[tuple[bytes, bytes], ...]
    client_addr: str | None
    connection: int
    connection_seq: int
    proxied: bool = False


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


def opened_of(
    reading: Reading, exchange: int, head: RequestHead, headers: dict[bytes, bytes], wall_us: int, mono_us: int
) -> Opened:
    """The fact of a request head; `headers` is its index by lower-case name."""
    session, source, transport = _session(head, headers)
    principal = principal_of(reading.principal, reading.keys, headers)
    keys = reading.keys
    version, agent = headers.get(b"mcp-protocol-version"), headers.get(b"user-agent")
    resumes = headers.get(b"last-event-id")
    handle = headers.get(reading.handle_header) if reading.handle_header else None
    return Opened(
        exchange=exchange,
        wall_us=wall_us,
        mono_us=mono_us,
        http_method=head.method,
        transport=transport,
        session=keys.session_key(session) if session else None,
        session_source=source if session else None,
        session_id=clean(session.decode("latin-1")) if session and reading.keep_session_ids else None,
        protocol_version=clean(version.decode("latin-1"), 32) if version else None,
        principal=principal.text if principal and reading.keep_principal else None,
        principal_key=principal.key if principal else None,
        client_addr=head.client_addr,
        user_agent=clean(agent.decode("utf-8", "replace")) if agent else None,
        connection=head.connection,
        connection_seq=head.connection_seq,
        resumes=keys.digest("event-id", resumes[:1024]) if resumes else None,
        handle=keys.digest("handle", handle) if handle else None,
        proxied=head.proxied,
    )


def _session(head: RequestHead, headers: dict[bytes, bytes]) -> tuple[bytes | None, str, str]:
    """(session id, its source, transport). The session header beats the query: HTTP+SSE knows no such header."""
    named = headers.get(b"mcp-session-id")
    if named:
        return named, "header", "http"
    if head.method == "GET" and head.path.rstrip("/").endswith("/sse"):
        return None, "endpoint", "sse"
    if head.method == "POST":
        named = endpoint_session(head.query)
        if named or head.path.startswith("/messages"):
            return named, "endpoint", "messages"
    return None, "header", "http"
