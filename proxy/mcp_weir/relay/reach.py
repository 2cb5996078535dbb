"""The way to a host: a connected socket, by happy eyeballs (RFC 8305). Knows no HTTP, no TLS, no pool.

A connect() to an address that is known begins at once, and on one host has ended before the loop's next turn: no
lookup, no future, no timer. An address is known where the host is one, and for a moment after a name has led to it.
"""

import asyncio
import contextlib
import errno
import socket
import time
from collections.abc import Sequence

import aiohappyeyeballs

from mcp_weir.relay.limits import RESOLVED_SECONDS

_NEXT_ADDRESS_S = 0.25  # RFC 8305, 5: the Connection Attempt Delay
_UNDER_WAY = (0, errno.EINPROGRESS)
Found = Sequence[aiohappyeyeballs.AddrInfoType]
Address = tuple[socket.AddressFamily, tuple[str | int, ...]]


class Begun:
    """A socket whose connect() has been called."""

    __slots__ = ("_to", "sock")

    def __init__(self, sock: socket.socket, to: tuple[str | int, ...]) -> None:
        self.sock, self._to = sock, to

    def is_open(self) -> bool:
        """It has come through."""
        return self.sock.connect_ex(self._to) in (0, errno.EISCONN)

    def forsaken(self, by: asyncio.Task[None]) -> None:
        """Close it where whoever wanted it was cancelled: perhaps before its first step."""
        if by.cancelled():
            self.sock.close()

    async def wait(self) -> socket.socket:
        """Until it has. Raises OSError."""
        await asyncio.get_running_loop().sock_connect(self.sock, self._to)
        return self.sock


class Way:
    """To one host and port."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._literal = _literal(host, port)
        self._known, self._known_until = self._literal, float("inf")
        self._lookup: asyncio.Task[Found] | None = None

    def begin(self) -> Begun | None:
        """Call connect() if the address is known; None where it is not, or where that fails at once: reach() tells."""
        if self._known is None or time.monotonic() > self._known_until:
            return None
        family, to = self._known
        try:
            sock = socket.socket(family, socket.SOCK_STREAM)
        except OSError:
            return None
        sock.setblocking(False)
        if sock.connect_ex(to) in _UNDER_WAY:
            return Begun(sock, to)
        sock.close()
        return None

    async def reach(self, begun: Begun | None) -> socket.socket:
        """A connected socket; a name is asked again where its last address leads nowhere. Raises OSError."""
        if begun is not None:
            try:
                async with asyncio.timeout(None if self._literal else _NEXT_ADDRESS_S):
                    return await begun.wait()
            except BaseException as error:
                begun.sock.close()
                if self._literal or not isinstance(error, OSError):
                    raise
        self._known = self._literal
        found = await self._resolved()
        sock = await aiohappyeyeballs.start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS_S)
        if self._literal is None:
            self._known, self._known_until = (sock.family, sock.getpeername()), time.monotonic() + RESOLVED_SECONDS
        return sock

    async def _resolved(self) -> Found:
        """Asked once for all who wait: a thousand clients at once are one lookup."""
        if self._lookup is None:
            self._lookup = asyncio.get_running_loop().create_task(self._look_up())
            self._lookup.add_done_callback(self._looked_up)
        return await asyncio.shield(self._lookup)

    async def _look_up(self) -> Found:
        return await asyncio.get_running_loop().getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)

    def _looked_up(self, lookup: asyncio.Task[Found]) -> None:
        self._lookup = None
        if not lookup.cancelled():
            lookup.exception()  # seen, even where all who waited have left


def _literal(host: str, port: int) -> Address | None:
    """An address that needs no lookup. With a zone (fe80::1%eth0) it does: the zone is a name."""
    with contextlib.suppress(OSError, UnicodeError, ValueError):
        socket.inet_pton(socket.AF_INET, host)
        return socket.AF_INET, (host, port)
    with contextlib.suppress(OSError, UnicodeError, ValueError):
        socket.inet_pton(socket.AF_INET6, host)
        return socket.AF_INET6, (host, port, 0, 0)
    return None
