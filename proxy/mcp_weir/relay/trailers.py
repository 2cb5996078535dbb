"""What a chunked request leaves in aiohttp's parser: its last trailer, which then heads the next request (3.14.5).

Behind a load balancer the next request on a connection is a stranger's, and he would speak with the first one's
`Authorization`. aiohttp has no way to see a trailer, and none to take it out; so a request of our own takes it. Where a
stranger's bytes are in the parser already, they are not taken, and the connection ends with the chunked request.
"""

from collections import deque
from itertools import islice
from typing import Any

from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.http_parser import HttpParser, RawRequestMessage
from aiohttp.streams import StreamReader

_RINSE = b"GET / HTTP/1.1\r\nHost: rinse\r\n\r\n"
_END = b"\r\n\r\n"  # of chunks and trailers; where it is the end of what was read, nothing stands behind it


class Trailers:
    """One connection's: the chunked body that its parser has not been rinsed of, and the end of what it was fed."""

    __slots__ = ("_body", "_ending")

    def __init__(self) -> None:
        self._body: StreamReader | None = None
        self._ending = b""

    def taint(self, parser: HttpParser[Any] | None, messages: deque[Any], known: int, data: bytes) -> bool:
        """The parser was fed `data`, and the messages from `known` on are new: true when it cannot be used any more.

        What came behind a chunked request is then taken out of `messages`.
        """
        self._ending = (self._ending + data[-4:])[-4:]
        for at, (message, payload) in enumerate(islice(messages, known, None), known):
            if self._body is not None and self._body.is_eof():
                while len(messages) > at:
                    messages.pop()
                return True
            if isinstance(message, RawRequestMessage) and message.chunked:
                self._body = payload
        if self._body is None or not self._body.is_eof():
            return False
        self._body = None
        return self._ending != _END or parser is None or not _rinsed(parser)


def _rinsed(parser: HttpParser[Any]) -> bool:
    try:
        messages, _, _ = parser.feed_data(_RINSE)
    except HttpProcessingError:  # it was to be closed after that request, or the trailer is no second field of ours
        return False
    for _ in messages:
        parser.message_consumed()
    return len(messages) == 1  # more: some had waited for room
