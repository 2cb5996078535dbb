"""A spool that cannot be opened yet: a worker that starts on a full or broken disk serves all the same.

What passes meanwhile is counted here as seen and dropped, and told to the writer once there is one: the gap is exact
unless this process is killed before that.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable

from mcp_weir.errors import SpoolError
from mcp_weir.spool.writer import NO_SPACE, SpoolWriter
from mcp_weir.traffic.facts import Closed, Line


class LateWriter:
    """In a SpoolWriter's place until `make` gives one, and in front of it from then on. Not thread-safe."""

    def __init__(self, make: Callable[[], SpoolWriter], trouble: SpoolError) -> None:
        self._make = make
        self._trouble, self._reason = str(trouble), _reason(trouble)
        self._writer: SpoolWriter | None = None
        self._missed: Counter[tuple[int, str | None]] = Counter()  # by minute and reason; None: seen
        self._begun: set[int] = set()  # exchanges of which a line was lost and that have not ended

    @property
    def sync_failures(self) -> int:
        """As a writer's."""
        return 0 if self._writer is None else self._writer.sync_failures

    @property
    def trouble(self) -> str | None:
        """As a writer's; why there is none."""
        return self._trouble if self._writer is None else self._writer.trouble

    def seen(self, minute: int) -> None:
        """As a writer's."""
        if self._writer is not None:
            self._writer.seen(minute)
        else:
            self._missed[minute, None] += 1

    def lost(self, minute: int) -> None:
        """As a writer's."""
        if self._writer is not None:
            self._writer.lost(minute)
        else:
            self._missed[minute, "observer"] += 1

    def offer(self, line: Line, minute: int) -> bool:
        """As a writer's. An exchange of which a line was lost is lost as a whole."""
        exchange = line[0].exchange
        if self._writer is not None and exchange not in self._begun:
            return self._writer.offer(line, minute)
        if not isinstance(line[-1], Closed):
            self._begun.add(exchange)
            return False
        self._begun.discard(exchange)
        self._missed[minute, self._reason] += 1
        if self._writer is not None:
            self._tell(self._writer)
        return False

    def offer_all(self, lines: list[tuple[Line, int]]) -> None:
        """As a writer's."""
        if self._writer is not None and not self._begun:
            self._writer.offer_all(lines)
            return
        for line, minute in lines:
            self.offer(line, minute)

    def synced(self) -> Awaitable[None]:
        """As a writer's; at once while there is none: nobody's answer waits for a disk that may never come back."""
        if self._writer is not None:
            return self._writer.synced()
        nothing: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        nothing.set_result(None)
        return nothing

    def heartbeat(self, wall_us: int, next_exchange: int = 0) -> None:
        """As a writer's; while there is none, try again to make one."""
        if self._writer is None:
            try:
                self._writer = self._make()
            except SpoolError as error:
                self._trouble, self._reason = str(error), _reason(error)
                return
            self._tell(self._writer)
        self._writer.heartbeat(wall_us, next_exchange)

    def close(self) -> None:
        """As a writer's."""
        if self._writer is not None:
            self._writer.close()

    def _tell(self, writer: SpoolWriter) -> None:
        missed, self._missed = self._missed, Counter()
        for (minute, reason), n in missed.items():
            writer.missed(minute, reason, n)


def _reason(trouble: SpoolError) -> str:
    cause = trouble.__cause__
    return "disk_full" if isinstance(cause, OSError) and cause.errno in NO_SPACE else "error"
