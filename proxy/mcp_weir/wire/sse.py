"""Server-Sent Events, read from bytes cut anywhere (WHATWG HTML 9.2.6). Pure; bounded; linear in what it is fed.

A line ends at CR, LF or CRLF. An end by CR is taken at once and a following LF skipped, so that an event never
waits for a byte that may not come.
"""

import dataclasses

_BOM = b"\xef\xbb\xbf"
_ID_LIMIT = 1024


@dataclasses.dataclass(slots=True)
class Event:
    """One block of fields. `data` is None where the block set only an id or a retry: a client dispatches nothing.

    `oversized`: the data was over the limit and is left out. `id` is None where the block carried none.
    """

    data: bytes | None
    event: str
    id: bytes | None
    retry_ms: int | None = None
    oversized: bool = False


class SseDecoder:
    """Feed it chunks; it gives whole events. Holds at most about twice `limit` bytes, whatever comes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._part = bytearray()  # the unfinished line; += on a bytearray is amortised linear, bytes would be square
        self._skipping = False  # the unfinished line is over the limit
        self._after_cr = False
        self._begun: bytes | None = b""  # the first bytes, until it is known whether they are a BOM
        self._data = b""  # the usual event has one line of data, which is never copied again
        self._more = bytearray()  # and all of it where there are several: a list of short lines would weigh 20 times it
        self._has_data = self._oversized = False
        self._event = b""
        self._id: bytes | None = None
        self._retry: int | None = None

    @property
    def between_events(self) -> bool:
        """Nothing of an event has come that its end has not."""
        begun = self._has_data or self._event or self._id is not None or self._retry is not None or self._oversized
        return not (begun or self._part or self._skipping)

    def feed(self, data: bytes) -> list[Event]:
        """The events that end in this chunk."""
        if self._begun is not None:
            data = self._after_bom(self._begun + data)
        if self._after_cr and data:
            self._after_cr = False
            if data[0] == 10:
                data = data[1:]
        events: list[Event] = []
        # bytes.splitlines knows CR, LF and CRLF and nothing else, and cuts at C speed
        for line in data.splitlines(keepends=True):
            last = line[-1]
            if last != 10 and last != 13:
                self._hold(line)
                continue
            self._after_cr = last == 13
            self._line(self._whole(line.rstrip(b"\r\n")), events)
        return events

    def _after_bom(self, data: bytes) -> bytes:
        if len(data) < 3 and _BOM.startswith(data):
            self._begun = data
            return b""
        self._begun = None
        return data.removeprefix(_BOM)

    def _hold(self, part: bytes) -> None:
        if len(self._part) + len(part) > self._limit:
            self._skipping = True
            self._part.clear()
        elif not self._skipping:
            self._part += part

    def _whole(self, end: bytes) -> bytes | None:
        """The finished line; None when it was too long to hold."""
        if not self._part and not self._skipping:
            return end
        line = None if self._skipping or len(self._part) + len(end) > self._limit else bytes(self._part) + end
        self._part.clear()
        self._skipping = False
        return line

    def _line(self, line: bytes | None, events: list[Event]) -> None:
        if line is None or len(line) > self._limit:
            self._too_long()
        elif not line:
            self._dispatch(events)
        else:
            name, _, value = line.partition(b":")
            self._field(name, value[1:] if value[:1] == b" " else value)

    def _field(self, name: bytes, value: bytes) -> None:
        if name == b"data":
            self._add(value)
        elif name == b"event":
            self._event = value[:64]
        elif name == b"id":
            if b"\0" not in value:
                self._id = value[:_ID_LIMIT]
        elif name == b"retry" and value.isdigit() and len(value) < 10:
            self._retry = int(value)

    def _add(self, value: bytes) -> None:
        if self._oversized:
            return
        if not self._has_data:
            self._has_data, self._data = True, value
            return
        if not self._more:
            self._more += self._data + b"\n"
        else:
            self._more += b"\n"
        self._more += value
        if len(self._more) > self._limit:
            self._too_long()

    def _too_long(self) -> None:
        self._oversized = True
        self._clear_data()

    def _clear_data(self) -> None:
        self._data = b""
        if self._more:
            self._more = bytearray()

    def _dispatch(self, events: list[Event]) -> None:
        has_data = self._has_data or self._oversized
        if has_data or self._id is not None or self._retry is not None:
            data = (bytes(self._more) or self._data) if has_data else None
            kind = self._event.decode("utf-8", "replace") or "message"
            events.append(Event(data, kind, self._id, self._retry, self._oversized))
        self._clear_data()
        self._has_data = self._oversized = False
        self._event, self._id, self._retry = b"", None, None
