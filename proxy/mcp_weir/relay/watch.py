"""The observer's seat beside one exchange: whatever goes wrong here stays here and is counted.

Times are CLOCK_MONOTONIC microseconds, given by the caller: the bytes' arrival, not the moment of the look.
"""

from collections.abc import Callable

from mcp_weir.relay.headers import Headers
from mcp_weir.traffic.exchange import Exchange
from mcp_weir.traffic.facts import Line


class Recording:
    """Where a worker's facts go, and what went wrong on the way. All take the minute the exchange opened in.

    `lost` counts an exchange that was seen and that no Closed fact will end, because its observer failed.
    """

    def __init__(
        self, offer: Callable[[Line, int], object], seen: Callable[[int], None],
        lost: Callable[[int], None] = lambda minute: None,
    ) -> None:
        self.offer, self.seen, self.lost = offer, seen, lost
        self.errors = 0


class Watch:
    """Watches one exchange; with `exchange` None it watches nothing (a path that is not MCP's)."""

    __slots__ = (
        "_exchange", "_minute", "_recording", "closed", "error_id", "offered", "overhead_ns", "stall_us", "watching",
    )

    def __init__(self, exchange: Exchange | None, minute: int, recording: Recording) -> None:
        self._exchange, self._minute, self._recording = exchange, minute, recording
        self.stall_us = 0  # the time we waited for the client's socket
        self.overhead_ns = 0  # between bytes in and bytes out, all of it ours
        self.watching = exchange is not None  # it is an exchange on an MCP path
        self.closed = exchange is None
        self.offered = False  # facts were offered since the last sync was asked for
        self.error_id: bytes | None = None  # once closed: the JSON-RPC id, as it came, that an error of ours must carry

    @property
    def owes_answer(self) -> bool:
        """A request of the client waits for its answer in this exchange."""
        return self._exchange is not None and self._exchange.owes_answer

    def request_chunk(self, data: bytes, at_us: int) -> None:
        """A piece of the request's body."""
        if not self.closed:
            try:
                self._exchange.request_chunk(data, at_us)  # type: ignore[union-attr]
            except Exception:  # the observer guard
                self._recording.errors += 1

    def request_end(self, at_us: int) -> None:
        """The request's body is whole."""
        if not self.closed:
            try:
                self._exchange.request_end(at_us)  # type: ignore[union-attr]
            except Exception:  # the observer guard
                self._recording.errors += 1

    def response_head(self, status: int, headers: Headers, at_us: int) -> None:
        """The response's head."""
        if not self.closed:
            try:
                self._exchange.response_head(status, headers, at_us)  # type: ignore[union-attr]
            except Exception:  # the observer guard
                self._recording.errors += 1

    def response_chunk(self, data: bytes, at_us: int) -> None:
        """A piece of the response's body: its facts are offered before it goes on."""
        if not self.closed:
            try:
                facts = self._exchange.response_chunk(data, at_us)  # type: ignore[union-attr]
                if facts:
                    self._offer(facts)
            except Exception:  # the observer guard
                self._recording.errors += 1

    def sweep(self) -> None:
        """Tell what is known of an exchange that still runs."""
        if not self.closed:
            try:
                facts = self._exchange.sweep()  # type: ignore[union-attr]
                if facts:
                    self._offer(facts)
            except Exception:  # the observer guard
                self._recording.errors += 1

    def close(self, closed_by: str, at_us: int, *, error: str | None = None, status: int | None = None) -> None:
        """The exchange is over; later calls do nothing."""
        if self.closed:
            return
        self.closed = True
        # let go of it now: the sweep remembers this watch for a while, and memory that is soon used again is warm
        exchange, self._exchange = self._exchange, None
        facts = None
        try:
            assert exchange is not None
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

    def _offer(self, facts: Line) -> None:
        self._recording.offer(facts, self._minute)
        self.offered = True
