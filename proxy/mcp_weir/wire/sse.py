"""Server-Sent Events, read from bytes cut anywhere (WHATWG HTML, 9.2.6). Pure and bounded."""

import dataclasses
import re

_LINE_END = re.compile(rb"\r\n|\n|\r(?=.)", re.DOTALL)


@dataclasses.dataclass(frozen=True, slots=True)
class Event:
    """One event with data (possibly empty). `oversized`: the data was over the limit and is left out."""

    data: bytes
    event: str
    id: bytes | None
    oversized: bool = False


class SseDecoder:
    """Feed it chunks; it gives whole events. Holds at most about `limit` bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._rest = b""
        self._skipping = False
        self._start = True
        self._data: list[bytes] | None = None
        self._id: bytes | None = None
        self._event, self._size, self._oversized = "", 0, False

    def feed(self, data: bytes) -> list[Event]:
        """The events that end in this chunk."""
        buffer = self._rest + data
        if self._start and buffer:
            self._start = False
            buffer = buffer.removeprefix(b"\xef\xbb\xbf")
        events: list[Event] = []
        start = 0
        for end in _LINE_END.finditer(buffer):
            self._line(buffer[start : end.start()], events)
            start = end.end()
        self._rest = buffer[start:]
        if len(self._rest) > self._limit:
            self._rest, self._skipping = b"", True
        return events

    def _line(self, line: bytes, events: list[Event]) -> None:
        if self._skipping:
            self._skipping, self._oversized = False, True
            return
        if not line:
            if self._data is not None or self._oversized:
                data = b"" if self._oversized else b"\n".join(self._data or [])
                events.append(Event(data, self._event or "message", self._id, self._oversized))
            self._clear()
            return
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._size += len(value)
            self._oversized = self._oversized or self._size > self._limit
            self._data = [] if self._oversized else [*(self._data or []), value]
        elif name == b"event":
            self._event = value[:64].decode("utf-8", "replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value[:1024]

    def _clear(self) -> None:
        self._data, self._id = None, None
        self._event, self._size, self._oversized = "", 0, False
