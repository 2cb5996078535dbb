"""Derived sessions: which conversation a request belongs to where the protocol does not say. Pure.

Requests of one scope are taken in one order, each once; what is decided depends on that order and on what had
ended before each, so any recorder comes to the same. PROTOCOL.md, attribution 9, is the rule;
docs/sessions.md has what the evidence is worth, measured.

Strongest first: a handle; the TCP connection; a trace; the counter of JSON-RPC ids. An id that a conversation has
used before is never that conversation's again, whatever else speaks for it: counters only go up. Where several
fit, a client that keeps its connections tells more: it opens no second one while it has a free one.
"""

import uuid
from collections.abc import Iterable

from mcp_weir.attribution.conversations import EVIDENCE, Conversation, Index, Lane, Scope
from mcp_weir.attribution.evidence import Asked, counter

_NAMESPACE = uuid.UUID("6d63702d-7765-8972-8000-646572697665")
BURST_US = 20_000  # calls made at once may arrive out of order within this time: then their ids order them
_GAP = 16  # ids that may be missing between two requests of one conversation
_UNKEPT = 3  # connections of one request each, after which a client is taken not to keep them
Number = tuple[str, int] | None
Found = tuple[Conversation | None, str]
_NONE: Found = (None, "")


def order(asked: Asked) -> tuple[int, int, int, int]:
    """The order in which requests are assigned: of time, and of ids among those that came together."""
    number = counter(asked.jsonrpc_id)
    return asked.at_us // BURST_US, number[1] if number else 0, asked.at_us, asked.key.int


class Ladder:
    """Assigns requests of one scope, in order. `window_us`: a pause longer than this ends a conversation."""

    def __init__(self, scope: Scope, window_us: int) -> None:
        self.scope, self._window_us = scope, window_us
        self._index = Index(scope)
        self.by_key = self._index.by_key

    def assign(self, asked: Asked, ended_us: int | None) -> Conversation:
        """The conversation of this request, an old or a new one. Call in the order of order()."""
        number = counter(asked.jsonrpc_id)
        lane = self._lane(asked)
        find = self._find if asked.handle is None else self._of_handle
        found, by = find(asked, number, lane)
        if found is None:
            found = self._begin(asked, number, lane)
        else:
            found.weakest = max(found.weakest, EVIDENCE.index(by))
        self._join(found, asked, number, lane)
        if ended_us is not None:
            self.end(asked.key, ended_us)
        self.scope.frontier_us = max(self.scope.frontier_us, asked.at_us)
        return found

    def end(self, request: uuid.UUID, ended_us: int) -> None:
        """When an assigned request is over. Ends come in any order, each before what starts after it is assigned."""
        conversation = self._index.running.pop(request, None)
        if conversation is not None:
            conversation.ended(request, ended_us)

    def forget(self, before_us: int) -> None:
        """Drop what has ended by a pause before this time. Changes no decision: it would not be chosen any more."""
        scope, window_us = self.scope, self._window_us
        scope.conversations = [c for c in scope.conversations if c.last_us + window_us >= before_us]
        scope.lanes = {key: lane for key, lane in scope.lanes.items() if lane.last_us + window_us >= before_us}

    def _of_handle(self, asked: Asked, number: Number, lane: Lane) -> Found:
        assert asked.handle is not None
        named = self._index.by_handle.get(asked.handle)
        if named is not None and self._live(named, asked):
            return named, "handle"
        found, by = self._find(asked, number, lane)  # what began before its handle was said, if that is certain
        if found is not None and found.handle is None and by in ("connection", "trace", "counter"):
            return found, by
        return _NONE

    def _find(self, asked: Asked, number: Number, lane: Lane) -> Found:
        held = self._alive(self._index.by_connection.get((asked.lane, asked.connection or b""), ()), asked)
        fitting = [c for c in held if self._follows(c, asked, number)]
        if fitting and not (lane.shared and number is not None):
            best = min(fitting, key=lambda c: _order(c, number))
            if best is not held[-1]:
                lane.shared = True  # another conversation began on this connection since
            return best, "connection"
        traced = self._alive(self._index.by_trace.get((asked.lane, asked.trace or ""), ()), asked)
        fitting = [c for c in traced if self._follows(c, asked, number)]
        if fitting:
            return min(fitting, key=lambda c: _order(c, number)), "trace"
        if asked.begins or not asked.known:
            return _NONE
        if number is None:
            return self._uncounted(asked, lane)
        if lane.starts.get(number[0]) == number[1]:
            return _NONE  # a return to the start
        return self._counted(asked, number, lane)

    def _follows(self, c: Conversation, asked: Asked, number: Number) -> bool:
        if not c.fits(number):
            return False
        return number is not None and number[1] == c.next if asked.begins else True

    def _counted(self, asked: Asked, number: tuple[str, int], lane: Lane) -> Found:
        style, n = number
        near = list(self._index.by_id.get((asked.lane, style, n), ()))
        for before in range(n - _GAP, n):
            near += [c for c in self._index.by_id.get((asked.lane, style, before), ()) if c.next == before]
        fitting = [c for c in self._alive(near, asked) if c.fits(number)]
        ranked = sorted((self._rank(c, asked, n, lane), -c.last_us, c.key.int, c) for c in fitting)
        if ranked:
            rank, _, _, best = ranked[0]
            if len(ranked) > 1 and ranked[1][0] == rank:
                return best, "choice"
            return best, "counter" if rank[0] <= 1 else "gap"
        rest = [c for c in self._alive(self._index.by_lane.get(asked.lane, ()), asked) if c.style == style]
        if len(rest) == 1 and rest[0].next < n:
            return rest[0], "gap"
        return _NONE

    def _rank(self, c: Conversation, asked: Asked, n: int, lane: Lane) -> tuple[int, int]:
        """How well an id fits: exactly next, missing, next though it had a free connection, after a gap."""
        gap = n - c.next
        near = 0 if gap == 0 else 1 if gap < 0 else 2 + gap
        if self._has_a_better_way(c, asked, lane):
            near += 2
        return near, c.busy(asked.at_us) and not c.concurrent

    def _has_a_better_way(self, c: Conversation, asked: Asked, lane: Lane) -> bool:
        """It would have sent this request on a connection that it had free, and not on this one."""
        if asked.connection is None or lane.shared or any(one.name == asked.connection for one in c.connections):
            return False
        idle = c.idle_for(asked.at_us)
        return idle is not None and idle <= lane.kept_us

    def _uncounted(self, asked: Asked, lane: Lane) -> Found:
        """Ids that say nothing: by how the client keeps its connections, and never where several would do."""
        rest = [c for c in self._alive(self._index.by_lane.get(asked.lane, ()), asked) if c.style is None]
        if asked.connection is not None and lane.connections < _UNKEPT and lane.kept_us < 0 and not lane.announced:
            return _NONE  # too little is known of how it keeps its connections
        if asked.connection is not None and (lane.kept_us >= 0 or lane.announced):
            rest = [c for c in rest if not self._has_a_better_way(c, asked, lane)]
            together = [c for c in rest if asked.at_us - c.last_us <= BURST_US]
            rest = together if len(together) == 1 else rest
            if len(rest) > 1:
                return _NONE
        if not rest:
            return _NONE
        best = max(rest, key=lambda c: (c.last_us, c.key.int))
        return best, "alone" if len(rest) == 1 else "choice"

    def _begin(self, asked: Asked, number: Number, lane: Lane) -> Conversation:
        style, n = number or (None, 0)
        lane.announced = lane.announced and asked.begins
        begun = Conversation(
            key=uuid.uuid5(_NAMESPACE, str(asked.key)), lane=asked.lane, known=asked.known, who=asked.who,
            started_us=asked.at_us, last_us=asked.at_us, style=style, next=n,
        )
        if style is not None:
            start = lane.starts[style] = min(n, lane.starts.get(style, n))
            if n - start <= _GAP:
                begun.missing = list(range(start + 1, n))  # may be read after it; the start itself begins another
        self.scope.conversations.append(begun)
        self._index.add(begun)
        return begun

    def _join(self, c: Conversation, asked: Asked, number: Number, lane: Lane) -> None:
        if number is not None and number[0] == c.style and c.fits(number):
            self._index.count_up(c, number[1], _GAP)
        if asked.connection is not None:
            self._learn(c, asked, lane)
            self._index.connect(c, asked)
        if asked.trace is not None:
            self._index.trace(c, asked.trace)
        if asked.handle is not None:
            c.handle = asked.handle
            self._index.by_handle[asked.handle] = c
        self._index.run(c, asked)
        c.last_us = max(c.last_us, asked.at_us)
        lane.last_us = max(lane.last_us, asked.at_us)

    def _learn(self, c: Conversation, asked: Asked, lane: Lane) -> None:
        """How long this client keeps a connection that it does not use."""
        known = next((one for one in c.connections if one.name == asked.connection), None)
        if known is None:
            lane.connections += 1
        elif known.free_us <= asked.at_us:
            lane.kept_us = max(lane.kept_us, asked.at_us - known.free_us)

    def _lane(self, asked: Asked) -> Lane:
        lane = self.scope.lanes.get(asked.lane)
        if lane is None or asked.at_us - lane.last_us > self._window_us:
            lane = self.scope.lanes[asked.lane] = Lane(last_us=asked.at_us, announced=True)
        return lane

    def _live(self, c: Conversation, asked: Asked) -> bool:
        return asked.at_us - c.last_us <= self._window_us

    def _alive(self, found: Iterable[Conversation], asked: Asked) -> list[Conversation]:
        return [c for c in found if self._live(c, asked)]


def _order(c: Conversation, number: Number) -> tuple[int, int, int, int]:
    """Exactly next first, then a missing id, then the smallest gap; the latest of equals."""
    if number is None:
        return 0, 0, -c.last_us, c.key.int
    gap = number[1] - c.next
    return (0 if gap == 0 else 1 if gap < 0 else 2), abs(gap), -c.last_us, c.key.int
