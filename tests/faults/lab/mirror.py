"""An upstream that reads nothing into a request: keeps its body's hash, answers with the same bytes."""

import asyncio
import collections
import contextlib
import hashlib
from collections.abc import AsyncIterator

from faults.lab.http import LIMIT, CutShort, Head, pieces, read_head

_KEEP = 8 << 20  # of a body, to be sent back; longer ones are answered with {}


class Mirror:
    """`seen`: hash of head-less body by the X-Id field; `heads`: every head as it came."""

    def __init__(self) -> None:
        self.seen: dict[str, str] = {}
        self.times: collections.Counter[str] = collections.Counter()
        self.heads: list[Head] = []
        self.sizes: dict[str, int] = {}
        self.port = 0

    @contextlib.asynccontextmanager
    async def serve(self) -> AsyncIterator["Mirror"]:
        """Listen on a free port of loopback."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0, limit=LIMIT)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while (head := await read_head(reader)) is not None:
                await self._reflect(head, reader, writer)
        except (CutShort, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _reflect(self, head: Head, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        digest, size, kept = hashlib.sha256(), 0, bytearray()
        async for piece in pieces(reader, head, to_the_end=False):
            digest.update(piece)
            size += len(piece)
            if size <= _KEEP:
                kept += piece
        name = (head.get(b"x-id") or b"").decode()
        self.heads.append(head)
        self.seen[name], self.sizes[name] = digest.hexdigest(), size
        self.times[name] += 1
        body = bytes(kept) if size <= _KEEP else b"{}"
        kind = head.get(b"x-answer") or b"application/json"
        if kind == b"text/event-stream":
            body = b"event: message\ndata: " + body.replace(b"\r", b" ").replace(b"\n", b" ") + b"\n\n"
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\nContent-Length: %d\r\n\r\n%b" % (kind, len(body), body))
        await writer.drain()
