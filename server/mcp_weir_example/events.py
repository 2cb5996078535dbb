"""Event stores in memory: a stream that broke off can be resumed with Last-Event-ID.

One store for each session. The SDK names a stream by its JSON-RPC id alone, which every session counts from 1: in a
store that they share, a resumed stream of one client replays another client's answers.
"""

import itertools
from collections import deque

from mcp.server.streamable_http import EventCallback, EventId, EventMessage, EventStore, StreamId
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import JSONRPCMessage

_KEPT = 10_000


class MemoryEventStore(EventStore):
    """Keeps the newest 10,000 events of one session; ids count upward."""

    def __init__(self) -> None:
        self._events: deque[tuple[int, StreamId, JSONRPCMessage | None]] = deque(maxlen=_KEPT)
        self._ids = itertools.count(1)

    async def store_event(self, stream_id: StreamId, message: JSONRPCMessage | None) -> EventId:
        """Keep an event (None: a priming event) and name it."""
        number = next(self._ids)
        self._events.append((number, stream_id, message))
        return str(number)

    async def replay_events_after(self, last_event_id: EventId, send_callback: EventCallback) -> StreamId | None:
        """Send what followed on the event's own stream; None where the event is not known (any more)."""
        after = int(last_event_id) if last_event_id.isdigit() else -1
        stream = next((name for number, name, _ in self._events if number == after), None)
        if stream is None:
            return None
        for number, name, message in list(self._events):
            if number > after and name == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


class StorePerSession(StreamableHTTPSessionManager):
    """The SDK's session manager, which reads `event_store` once for each new session."""

    @property
    def event_store(self) -> EventStore:
        """A new store."""
        return MemoryEventStore()

    @event_store.setter
    def event_store(self, value: EventStore | None) -> None:
        """The SDK's own attribute; not kept."""
