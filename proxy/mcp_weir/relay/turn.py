"""Answers that are whole, of one turn of the event loop: looked at together, spooled by one write, then written on.

Under load a turn brings a dozen of them. Looking at one takes twice as long when the sockets' code has just run: the
caches hold another's instructions. One after the other they cost half of that, and share the spool's write(2). Nobody
waits longer for it: what a turn reads is read before the next turn begins. When no other exchange runs, there is
nothing to share, and an answer goes on inside the read that brought it.
"""

import asyncio
from collections import deque
from collections.abc import Sized
from typing import Protocol

from mcp_weir.relay.upstream_protocol import Head
from mcp_weir.relay.watch import Recording


class Looker(Protocol):
    """An answer whose end has come: Answer of answer.py."""

    ended: bool

    def look(self, head: Head | None, body: bytes, end: bool, arrived_ns: int) -> list[bytes]:
        """Record what came; returns what is to be written on."""

    def tell(self, out: list[bytes], size: int) -> None:
        """Write it on."""

    def cut(self) -> None:
        """It cannot be brought to its end."""


class Turn:
    """The answers of this turn that wait for its end. `running` are the exchanges that run."""

    def __init__(self, recording: Recording, running: Sized) -> None:
        self._recording, self._running = recording, running
        self._waiting: deque[tuple[Looker, Head | None, bytes, int]] = deque()

    def take(self, answer: Looker, head: Head | None, body: bytes, arrived_ns: int) -> bool:
        """Its last bytes have come; False when it need not wait for others."""
        if not self._waiting:
            if len(self._running) < 2:
                return False
            asyncio.get_running_loop().call_soon(self._end)
        self._waiting.append((answer, head, body, arrived_ns))
        return True

    def _end(self) -> None:
        waiting, looked = self._waiting, []
        at: Looker | None = None
        self._recording.gather()
        try:
            while waiting:
                at, head, body, arrived_ns = waiting.popleft()
                if not at.ended:  # else its client has left meanwhile
                    looked.append((at, at.look(head, body, True, arrived_ns), len(body)))
                at = None
        finally:  # one that fails is not to take the others along
            self._recording.spool()
            if at is not None:
                at.cut()
            if waiting:
                asyncio.get_running_loop().call_soon(self._end)
            for answer, out, size in looked:
                answer.tell(out, size)
