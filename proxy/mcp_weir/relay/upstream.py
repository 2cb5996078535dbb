"""The upstream as a pool of connections. One request at a time on each; nothing is ever sent twice."""

import asyncio
import dataclasses
import os
import socket
import ssl
import time
from typing import Protocol

import aiohappyeyeballs

from mcp_weir.errors import UpstreamFault
from mcp_weir.relay.limits import POOL_SECONDS, SUSPECT_SECONDS
from mcp_weir.relay.upstream_protocol import UpstreamConnection


@dataclasses.dataclass(frozen=True, slots=True)
class Origin:
    """Where the upstream is. `tls` is None for plain HTTP; its server_hostname (SNI) is `host`."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None
    connect_timeout: float = 5.0


class Upstream(Protocol):
    """The seam: whoever gives connections that speak upstream_protocol's language."""

    def take(self) -> UpstreamConnection | None:
        """An idle connection, if there is one that is not known to be dead."""

    async def connect(self) -> UpstreamConnection:
        """A new one. Raises UpstreamFault (connect, timeout)."""

    def release(self, connection: UpstreamConnection) -> None:
        """Give it back: kept when it is reusable, else closed."""

    def close(self) -> None:
        """Close what is idle."""


class Pool:
    """Connections to one origin, most recently used first, so that the others age and go."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._idle: list[UpstreamConnection] = []
        self._closed = False

    def __len__(self) -> int:
        return len(self._idle)

    def take(self) -> UpstreamConnection | None:
        """An idle connection that is young, open and has nothing to read; the rest is thrown away."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.lost:
                continue
            aged = time.monotonic() - connection.idle_since
            if aged < SUSPECT_SECONDS or (aged < POOL_SECONDS and not connection.has_news()):
                return connection
            connection.abort()
        return None

    async def connect(self) -> UpstreamConnection:
        """A new connection within the connect timeout, by happy eyeballs (RFC 8305)."""
        try:
            async with asyncio.timeout(self._origin.connect_timeout):
                return await self._connect()
        except TimeoutError:
            raise UpstreamFault("timeout", "the upstream did not accept a connection in time") from None
        except ssl.SSLError as error:
            raise UpstreamFault("connect", f"TLS with the upstream failed: {error.reason}") from None
        except OSError as error:
            raise UpstreamFault("connect", f"no connection to the upstream: {_reason(error)}") from None

    def release(self, connection: UpstreamConnection) -> None:
        """Keep it or close it."""
        if connection.reusable and not self._closed:
            connection.resume()  # its last client may have been slow: an idle connection must hear a FIN
            connection.idle_since = time.monotonic()
            self._idle.append(connection)
        else:
            connection.abort()

    def expire(self) -> None:
        """Close what has been idle too long: a server that closes first would race with our next POST."""
        oldest = time.monotonic() - POOL_SECONDS
        while self._idle and self._idle[0].idle_since < oldest:
            self._idle.pop(0).abort()

    def close(self) -> None:
        """Close what is idle; what is running closes when it is released."""
        self._closed = True
        while self._idle:
            self._idle.pop().abort()

    async def _connect(self) -> UpstreamConnection:
        loop, origin = asyncio.get_running_loop(), self._origin
        found = await loop.getaddrinfo(origin.host, origin.port, type=socket.SOCK_STREAM)
        sock = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=0.25, loop=loop)
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            name = origin.host if origin.tls is not None else None
            _, connection = await loop.create_connection(
                UpstreamConnection, sock=sock, ssl=origin.tls, server_hostname=name
            )
        except BaseException:
            sock.close()
            raise
        return connection


def _reason(error: OSError) -> str:
    """Without the address: the client need not know it."""
    if error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return (isinstance(error, socket.gaierror) and error.strerror) or "no address"
