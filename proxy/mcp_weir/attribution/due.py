"""When what waits is to be looked at again: each exchange once for each time and reason. Pure."""

import heapq
import uuid
from typing import NamedTuple

from mcp_weir.attribution.state import ExchangeId

EVER = 1 << 63


class _Time(NamedTuple):
    at_us: int  # of the watermark
    stream: str
    exchange: int
    why: str


class Due:
    """A heap that knows what is in it: an exchange is looked at often before its time comes."""

    def __init__(self) -> None:
        self._heap: list[_Time] = []
        self._agreed: set[_Time] = set()

    def __len__(self) -> int:
        return len(self._heap)

    def agree(self, at_us: int, ident: ExchangeId, why: str) -> None:
        """Look at it when the watermark has come so far."""
        time = _Time(at_us, str(ident[0]), ident[1], why)
        if time not in self._agreed:
            self._agreed.add(time)
            heapq.heappush(self._heap, time)

    def take(self, watermark_us: int) -> tuple[ExchangeId, str] | None:
        """The earliest that is due, and why; None when none is."""
        if not self._heap or self._heap[0].at_us > watermark_us:
            return None
        time = heapq.heappop(self._heap)
        self._agreed.discard(time)
        return (uuid.UUID(time.stream), time.exchange), time.why
