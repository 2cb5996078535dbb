"""The observer's seat beside one exchange: whatever goes wrong here stays here and is counted.

Times are CLOCK_MONOTONIC microseconds, given by the caller: the bytes' arrival, not the moment of the look.
"""

from collections.abc import Callable

from mcp_weir.relay.upstream_protocol import Head
from mcp_weir.traffic.exchange import Exchange
from mcp_weir.traffic.facts import Line
from mcp_weir.traffic.glance import Glance

OfferAll = Callable[[list[tuple[Line, int]]], object]


class Recording:
    """Where a worker's facts go, and what went wrong on the way. All take the minute the exchange opened in.

    `lost` counts an exchange that was seen and that no Closed fact will end, because its observer failed.
    """

    def __init__(
        self, offer_all: OfferAll, seen: Callable[[int], None], lost: Callable[[int], None] = lambda minute: None
    ) -> None:
        self._offer_all, self.seen, self.lost = offer_all, seen, lost
        self.errors = 0
        self._gathered: list[tuple[Line, int]] | None = None

    def offer(self, line: Line, minute: int) -> None:
        """These facts are complete."""
        if self._gathered is None:
            self._offer_all([(line, minute)])
        else:
            self._gathered.append((line, minute))

    def gather(self) -> None:
        """What is offered from here on waits for spool()."""
        self._gathered = []

    def spool(self) -> None:
        """By one write, what was gathered."""
        gathered, self._gathered = self._gathered, None
        if gathered:
            self._offer_all(gathered)


class Watch:
    """Watches one exchange; with None it watches nothing (a path that is not MCP's).

    With a glance it only keeps what passes, as long as that is plain, and looks once, at the end.
    """

    __slots__ = (
        "_exchange", "_glance", "_minute", "_recording", "closed", "error_id", "offered", "overhead_ns", "stall_us",
        "watching",
    )

    def __init__(
        self, exchange: Exchange | None, minute: int, recording: Recording, glance: Glance | None = None
    ) -> None:
        self._exchange, self._glance, self._minute, self._recording = exchange, glance, minute, recording
        self.stall_us = 0  # the time we waited for the client's socket
        self.overhead_ns = 0  # between bytes in and bytes out, all of it ours
        self.closed = exchange is None and glance is None
        self.watching = not self.closed  # it is an exchange on an MCP path
        self.offered = False  # facts were offered since the last sync was asked for
        self.error_id: bytes | None = None  # once closed: the JSON-RPC id, as it came, that an error of ours must carry

    @property
    def owes_answer(self) -> bool:
        """A request of the client waits for its answer in this exchange."""
        return not self.closed and self._looking().owes_answer

    def request_chunk(self, data: bytes, at_us: int) -> None:
        """A piece of the request's body."""
        if not self.closed:
            try:
                self._looking().request_chunk(data, at_us)
            except Exception:  # the observer guard
                self._recording.errors += 1

    def request_end(self, at_us: int) -> None:
        """The request's body is whole."""
        if not self.closed:
            try:
                self._looking().request_end(at_us)
            except Exception:  # the observer guard
                self._recording.errors += 1

    def response_head(self, head: Head, at_us: int) -> None:
        """The response's head."""
        if not self.closed:
            try:
                glance = self._glance
                if glance is None or not glance.response_head(head.status, head.headers, head.kind, head.coded):
                    self._looking().response_head(head.status, head.headers, at_us)
            except Exception:  # the observer guard
                self._recording.errors += 1

    def response_chunk(self, data: bytes, at_us: int) -> None:
        """A piece of the response's body: its facts are offered before it goes on."""
        if not self.closed:
            try:
                if self._glance is not None and self._glance.response_chunk(data, at_us):
                    return
                facts = self._looking().response_chunk(data, at_us)
                if facts:
                    self._offer(facts)
            except Exception:  # the observer guard
                self._recording.errors += 1

    def sweep(self) -> None:
        """Tell what is known of an exchange that still runs."""
        if not self.closed:
            try:
                facts = self._looking().sweep()
                if facts:
                    self._offer(facts)
            except Exception:  # the observer guard
                self._recording.errors += 1

    def close(self, closed_by: str, at_us: int, *, error: str | None = None, status: int | None = None) -> None:
        """The exchange is over; later calls do nothing."""
        if self.closed:
            return
        self.closed = True
        facts: Line | None = None
        try:
            if self._glance is not None and closed_by == "complete" and error is None and status is None:
                facts = self._glance.line(at_us, self.stall_us, self.overhead_ns // 1000)
            if facts is None:
                exchange = self._looking()
                self.error_id = exchange.error_id
                facts = exchange.close(
                    closed_by, at_us, upstream_error=error, status=status, stall_us=self.stall_us,
                    overhead_us=self.overhead_ns // 1000,
                )
            self._offer(facts)
        except Exception:  # the observer guard
            self._recording.errors += 1
            if facts is None:
                self._recording.lost(self._minute)
        # let go of it now: the sweep remembers this watch for a while, and memory that is soon used again is warm
        self._exchange = self._glance = None

    def _looking(self) -> Exchange:
        """The exchange, step by step from here on."""
        if self._exchange is None:
            assert self._glance is not None
            self._exchange, self._glance = self._glance.exchange(), None
        return self._exchange

    def _offer(self, facts: Line) -> None:
        self._recording.offer(facts, self._minute)
        self.offered = True
