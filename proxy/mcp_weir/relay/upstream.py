"""The upstream as a pool of connections. One request at a time on each; nothing is ever sent twice."""

import asyncio
import dataclasses
import os
import socket
import ssl
import time
from typing import Protocol

from mcp_weir.errors import UpstreamFault
from mcp_weir.relay.limits import POOL_SECONDS, SUSPECT_SECONDS
from mcp_weir.relay.reach import Begun, Way
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

    def take(self) -> UpstreamConnection:
        """One that is idle and not known to be dead, or a new one that is just being made.

        What a new one is asked waits until it is open; where it does not open, failed() says why (connect, timeout).
        """

    def release(self, connection: UpstreamConnection) -> None:
        """Give it back: kept when it is reusable, else closed."""

    def close(self) -> None:
        """Close what is idle."""


class Pool:
    """Connections to one origin, most recently used first, so that the others age and go."""

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._way = Way(origin.host, origin.port)
        self._idle: list[UpstreamConnection] = []
        self._closed = False

    def __len__(self) -> int:
        return len(self._idle)

    def take(self) -> UpstreamConnection:
        """An idle connection that is young, open and has nothing to read; else a new one. The rest is thrown away."""
        idle = self._idle
        while idle:
            connection = idle.pop()
            if connection.lost:
                continue
            aged = time.monotonic() - connection.idle_since
            if aged < SUSPECT_SECONDS or (aged < POOL_SECONDS and not connection.has_news()):
                return connection
            connection.abort()
        return self._begin()

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

    def _begin(self) -> UpstreamConnection:
        """A new one, whose connect() is called now: the peer's kernel answers while the request is still looked at."""
        connection, begun = UpstreamConnection(), self._way.begin()
        connection.opening = asyncio.get_running_loop().create_task(self._open(connection, begun))
        if begun is not None:
            connection.opening.add_done_callback(begun.forsaken)
        return connection

    async def _open(self, connection: UpstreamConnection, begun: Begun | None) -> None:
        """Open it within the connect timeout."""
        try:
            if begun is not None and self._origin.tls is None and begun.is_open():
                await self._adopt(connection, begun.sock)  # nothing to wait for: a timeout costs more than all the rest
            else:
                async with asyncio.timeout(self._origin.connect_timeout):
                    await self._adopt(connection, await self._way.reach(begun))
        except TimeoutError:
            fault = UpstreamFault("timeout", "the upstream did not accept a connection in time")
        except ssl.SSLError as error:
            fault = UpstreamFault("connect", f"TLS with the upstream failed: {error.reason}")
        except (OSError, RuntimeError, ValueError) as error:  # uvloop's RuntimeError; a host that is no name
            fault = UpstreamFault("connect", f"no connection to the upstream: {_reason(error)}")
        else:
            connection.opening = None
            return
        connection.opening = None
        connection.not_made(fault)

    async def _adopt(self, connection: UpstreamConnection, sock: socket.socket) -> None:
        origin = self._origin
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            name = origin.host if origin.tls is not None else None
            await asyncio.get_running_loop().create_connection(
                lambda: connection, sock=sock, ssl=origin.tls, server_hostname=name
            )
        except BaseException:
            sock.close()
            raise


def _reason(error: Exception) -> str:
    """Without the address: the client need not know it."""
    if isinstance(error, OSError) and error.errno and error.errno > 0:
        return os.strerror(error.errno)
    return (isinstance(error, socket.gaierror) and error.strerror) or "no address"
