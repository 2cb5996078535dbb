"""The relay: accepts, guards, forwards both ways as bytes. Stores nothing; what it sees it offers as facts."""

import asyncio
import itertools
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from aiohttp.http_parser import HttpRequestParser

from mcp_weir.errors import UsageError
from mcp_weir.relay.answer import Durable
from mcp_weir.relay.client import Gate
from mcp_weir.relay.exchanges import Exchanges
from mcp_weir.relay.limits import SWEEP_SECONDS
from mcp_weir.relay.settings import RelaySettings, RelayStats
from mcp_weir.relay.tls import asking
from mcp_weir.relay.upstream import Origin, Pool
from mcp_weir.relay.watch import OfferAll, Recording

_BACKLOG = 1024
_DRAIN_STEP_S = 0.02


class Relay:
    """One worker's relay. `offer_all` and the counts take the Unix minute in which the exchange opened.

    With `durable`, bytes that complete a fact wait until it returns: what was offered before is on the disk.
    """

    def __init__(
        self, settings: RelaySettings, offer_all: OfferAll, count_seen: Callable[[int], None],
        durable: Durable | None = None, count_lost: Callable[[int], None] = lambda minute: None,
    ) -> None:
        if not HttpRequestParser.__module__.endswith("_http_parser"):
            raise UsageError("aiohttp has no C parser here; install a binary wheel of aiohttp")
        self._settings, self._recording = settings, Recording(offer_all, count_seen, count_lost)
        self._pool = Pool(origin(settings))
        self._exchanges = Exchanges(settings, self._pool, self._recording, durable)
        self._hurried = False

    async def start(self, sock: socket.socket) -> None:
        """Serve on a bound socket until drain()."""
        self._gate = Gate(self._exchanges, self._settings.max_connections)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._gate, sock=sock, backlog=_BACKLOG, **self._tls())
        self._begin_sweeping()

    async def drain(self) -> None:
        """Stop accepting; requests finish, streams that owe no answer end between two events; then whatever is left.

        At the end of the drain timeout, or after hurry(), every stream ends between events and the rest is cut.
        """
        running, self._exchanges.draining = self._exchanges.running, True
        self._server.close()
        self._gate.close_idle()
        deadline = time.monotonic() + self._settings.drain_timeout
        while running and time.monotonic() < deadline and not self._hurried:
            for answer in list(running):
                answer.keep = False
                if not answer.watch.owes_answer:
                    answer.end_stream()
            await asyncio.sleep(_DRAIN_STEP_S)
        for answer in list(running):
            answer.end_stream()
        await asyncio.sleep(_DRAIN_STEP_S)
        for answer in list(running):
            answer.cut()
        self._sweeper.cancel()
        await self._gate.shutdown(_DRAIN_STEP_S)
        self._pool.close()

    def hurry(self) -> None:
        """Drain no longer."""
        self._hurried = True

    def stats(self) -> RelayStats:
        """Counts of this moment, and of this life."""
        return RelayStats(
            self._gate.open, len(self._exchanges.running), len(self._pool), self._recording.errors,
            self._exchanges.refused, self._gate.turned_away,
        )

    def _tls(self) -> dict[str, Any]:
        if self._settings.tls is None:
            return {}
        return {"ssl": self._settings.tls, "ssl_handshake_timeout": self._settings.head_timeout}

    def _begin_sweeping(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep())
        self._sweeper.add_done_callback(self._swept)

    def _swept(self, sweeper: asyncio.Task[None]) -> None:
        """A sweep that failed over one connection is counted, and goes on for all others: timeouts hang on it."""
        if not sweeper.cancelled() and sweeper.exception() is not None:
            self._recording.errors += 1
            self._begin_sweeping()

    async def _sweep(self) -> None:
        for beat in itertools.count():
            await asyncio.sleep(SWEEP_SECONDS)
            self._exchanges.sweep(time.monotonic_ns() // 1000)
            if beat % 10 == 0:
                self._pool.expire()
                self._gate.sweep(self._settings.head_timeout)


def origin(settings: RelaySettings) -> Origin:
    """Where the pool connects to."""
    parts = urlsplit(settings.upstream_origin)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    tls = (settings.upstream_tls or asking(None, None, None)) if parts.scheme == "https" else None
    return Origin(parts.hostname or "", port, tls, settings.connect_timeout)


