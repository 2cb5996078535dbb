"""A TCP proxy with toxics: latency, slices, blackhole, reset, limit, and a cut between a COMMIT and its answer."""

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator

_PIECE = 1 << 16


@dataclasses.dataclass(slots=True)
class Toxics:
    """What the wire does just now. Seconds and bytes; may be changed at any time."""

    latency: float = 0.0
    slice: int = 0  # pass on so many bytes at a time
    blackhole: bool = False  # take everything, pass nothing on; new connections are accepted and then silent
    refuse: bool = False  # new connections are reset
    limit: int | None = None  # reset a connection after so many bytes from the server
    cut_commits: int = 0  # so many more times: pass a client's COMMIT on, then reset instead of the answer


class ToxicProxy:
    """Stands before one TCP port. `bites` counts what each toxic did."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, 0
        self.toxics = Toxics()
        self.bites = dict.fromkeys(("accepted", "swallowed", "refused", "limited", "slowed", "commits cut", "reset"), 0)
        self._links: set[_Link] = set()

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator["ToxicProxy"]:
        """Listen on a free port of loopback."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.reset()

    def reset(self) -> None:
        """Reset every connection now."""
        for link in list(self._links):
            self.bites["reset"] += 1
            link.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.toxics.refuse:
            self.bites["refused"] += 1
            writer.transport.abort()
            return
        self.bites["accepted"] += 1
        try:
            far = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        link = _Link(self, (reader, writer), far)
        self._links.add(link)
        try:
            await link.run()
        except asyncio.CancelledError:
            pass  # the laboratory closes; asyncio's streams would log it
        finally:
            self._links.discard(link)


class _Link:
    """One proxied connection."""

    def __init__(self, proxy: ToxicProxy, near: tuple, far: tuple) -> None:
        self._proxy, self._near, self._far = proxy, near, far
        self._from_server = 0
        self._cutting = False

    def abort(self) -> None:
        for _, writer in (self._near, self._far):
            writer.transport.abort()

    async def run(self) -> None:
        ways = (self._copy(self._near[0], self._far[1], up=True), self._copy(self._far[0], self._near[1], up=False))
        tasks = [asyncio.ensure_future(way) for way in ways]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            self.abort()

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        toxics, bites = self._proxy.toxics, self._proxy.bites
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(_PIECE):
                if toxics.blackhole:
                    bites["swallowed"] += 1
                    continue
                if toxics.latency:
                    bites["slowed"] += 1
                    await asyncio.sleep(toxics.latency)
                if up:
                    self._look_for_commit(data)
                elif self._stops(len(data)):
                    return
                for start in range(0, len(data), toxics.slice or len(data)):
                    writer.write(data[start : start + (toxics.slice or len(data))])
                    await writer.drain()

    def _look_for_commit(self, data: bytes) -> None:
        toxics = self._proxy.toxics
        if toxics.cut_commits and b"COMMIT" in data.upper():
            toxics.cut_commits -= 1
            self._cutting = True

    def _stops(self, size: int) -> bool:
        """The server has spoken: has this connection's hour come?"""
        self._from_server += size
        limit = self._proxy.toxics.limit
        if self._cutting:
            self._proxy.bites["commits cut"] += 1
        elif limit is not None and self._from_server > limit:
            self._proxy.bites["limited"] += 1
        else:
            return False
        return True
