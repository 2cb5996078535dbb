"""HTTP/1.1 as bytes over asyncio streams: the judge shares no parser with the proxy it judges."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator

LIMIT = 1 << 20  # of one line or head, in bytes
PIECE = 1 << 16


class CutShort(Exception):
    """The peer ended a message before its end, or reset the connection."""


@dataclasses.dataclass(frozen=True, slots=True)
class Head:
    """A start line and its fields, as they came."""

    start: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    raw: bytes

    def get(self, name: bytes) -> bytes | None:
        """The first value of a field; `name` is lower case."""
        return next((value for key, value in self.fields if key.lower() == name), None)

    @property
    def status(self) -> int:
        """Of a response."""
        return int(self.start.split(b" ", 2)[1])

    @property
    def keeps_alive(self) -> bool:
        """Neither side said that this is the last message."""
        return (self.get(b"connection") or b"").lower() != b"close"


async def read_head(reader: asyncio.StreamReader) -> Head | None:
    """The next head; None when the peer closed between two messages. Raises CutShort."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise CutShort("inside a head") from None
        return None
    except (ConnectionError, TimeoutError) as error:
        raise CutShort(str(error)) from None
    start, *lines = raw[:-4].split(b"\r\n")
    fields = tuple((key, value.strip()) for key, _, value in (line.partition(b":") for line in lines))
    return Head(start, fields, raw)


async def pieces(reader: asyncio.StreamReader, head: Head, *, to_the_end: bool) -> AsyncIterator[bytes]:
    """The body, piece by piece. `to_the_end`: a response without framing lasts until the peer closes."""
    try:
        if (head.get(b"transfer-encoding") or b"").lower() == b"chunked":
            async for piece in _chunks(reader):
                yield piece
        elif (length := head.get(b"content-length")) is not None:
            async for piece in _exactly(reader, int(length)):
                yield piece
        elif to_the_end:
            while piece := await reader.read(PIECE):
                yield piece
    except (asyncio.IncompleteReadError, ConnectionError, TimeoutError, ValueError) as error:
        raise CutShort(f"inside a body: {error}") from None


async def read_body(reader: asyncio.StreamReader, head: Head, *, to_the_end: bool = False) -> bytes:
    """The whole body. Raises CutShort."""
    return b"".join([piece async for piece in pieces(reader, head, to_the_end=to_the_end)])


def bodiless(head: Head) -> bool:
    """A response that has no body whatever its fields say (RFC 9112 6.3)."""
    return head.status < 200 or head.status in (204, 304)


async def _exactly(reader: asyncio.StreamReader, left: int) -> AsyncIterator[bytes]:
    while left:
        piece = await reader.read(min(left, PIECE))
        if not piece:
            raise CutShort(f"{left} bytes are missing")
        left -= len(piece)
        yield piece


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while True:
        line = await reader.readuntil(b"\r\n")
        size = int(line.split(b";")[0], 16)
        if size == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass  # trailers
            return
        async for piece in _exactly(reader, size):
            yield piece
        if await reader.readexactly(2) != b"\r\n":
            raise CutShort("a chunk does not end where it said")
