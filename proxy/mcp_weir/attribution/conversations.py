"""Conversations that may go on, and what finds them: by connection, trace, id, handle. Pure and serializable."""

import uuid
from collections import defaultdict
from typing import Any

import msgspec

from mcp_weir.attribution.evidence import Asked, Counted, Said, Who

EVIDENCE = ("handle", "connection", "trace", "counter", "alone", "gap", "choice")  # strongest first
SAID = ("capabilities", "principal", "server")
REMEMBERED = 16  # connections, traces and missing ids kept of a conversation
_RUNNING = 64  # requests in flight kept of a conversation
BUSY = 1 << 62  # the connection's last request has not ended


class Connection(msgspec.Struct, array_like=True):
    """A TCP connection that a conversation used. `free_us`: when its last request ended."""

    name: bytes
    free_us: int


class Heard(msgspec.Struct, frozen=True, array_like=True):
    """The earliest request that said something, and what."""

    name: str
    at_us: int
    key: uuid.UUID
    value: Any


class Conversation(msgspec.Struct, array_like=True):
    """One derived session while it may go on."""

    key: uuid.UUID
    lane: bytes
    known: bool
    who: Who
    started_us: int
    last_us: int
    style: str | None  # None where its ids do not count
    next: int
    missing: list[int] = []
    connections: list[Connection] = []
    traces: list[str] = []
    running: list[tuple[uuid.UUID, bytes, int]] = []  # requests, their connections, and when they ended or BUSY
    handle: bytes | None = None
    weakest: int = -1  # index in EVIDENCE of the weakest join; -1 while there is one request
    counts: list[int] = msgspec.field(default_factory=lambda: [0] * 8)
    accepted: bool = False
    concurrent: bool = False  # it has had several requests in flight
    heard: list[Heard] = []

    @property
    def source(self) -> str:
        """The rung it stands on."""
        if self.handle is not None:
            return "handle"
        if self.who.principal_key is not None:
            return "principal"
        return "client" if self.known or self.weakest >= 0 else "request"

    @property
    def evidence(self) -> str:
        """The weakest evidence that joined a request to it."""
        return EVIDENCE[self.weakest] if self.weakest >= 0 else "single"

    def fits(self, number: tuple[str, int] | None) -> bool:
        """This id has not been used in it, and is written as its ids are."""
        if number is None or self.style is None:
            return number is None and self.style is None
        return self.style == number[0] and (number[1] >= self.next or number[1] in self.missing)

    def said(self, name: str) -> Any:
        """The earliest that was said under this name of Said; None where nothing was."""
        return next((one.value for one in self.heard if one.name == name), None)

    def hear(self, said: Said, at_us: int, key: uuid.UUID) -> None:
        """Keep what was said first, in whatever order it comes."""
        for name in SAID:
            value = getattr(said, name)
            known = next((one for one in self.heard if one.name == name), None)
            if value is not None and (known is None or (at_us, key) < (known.at_us, known.key)):
                self.heard = [*(one for one in self.heard if one is not known), Heard(name, at_us, key, value)]

    def count(self, counted: Counted, at_us: int, key: uuid.UUID) -> None:
        """Add the final row of this request."""
        if counted.said is not None:
            self.hear(counted.said, at_us, key)
        self.counts = [a + b for a, b in zip(self.counts, counted.counts, strict=True)]
        self.accepted = self.accepted or counted.accepted

    def ended(self, request: uuid.UUID, ended_us: int) -> None:
        """When a request of it is over, and its connection free again; that may be later than what is asked next."""
        for at, (key, name, _) in enumerate(self.running):
            if key == request:
                self.running[at] = (key, name, ended_us)
                for connection in self.connections:
                    if connection.name == name:
                        connection.free_us = ended_us

    def busy(self, at_us: int) -> bool:
        """A request of it was in flight at that time."""
        return any(ended_us > at_us for _, _, ended_us in self.running)

    def idle_for(self, at_us: int) -> int | None:
        """Microseconds since the last of its connections became free; None when none was free then."""
        free = [c.free_us for c in self.connections if c.free_us <= at_us]
        return at_us - max(free) if free else None


class Lane(msgspec.Struct, array_like=True):
    """What is known of one client program within a scope. Forgotten when all it began has ended by a pause."""

    last_us: int
    starts: dict[str, int] = {}  # the lowest id that began a conversation, by style
    connections: int = 0  # seen
    kept_us: int = -1  # the longest pause after which a connection was used again: so long it keeps them
    shared: bool = False  # one pool of connections served several conversations at once
    announced: bool = False  # all that it began said so


class Scope(msgspec.Struct, array_like=True):
    """The conversations of one principal (or address) that may go on."""

    conversations: list[Conversation] = []
    lanes: dict[bytes, Lane] = {}
    frontier_us: int = 0
    shown: list[uuid.UUID] = []  # sessions last shown on the strength of requests that were not settled yet


class Index:
    """Finds conversations of a scope. What it finds may have ended by a pause: the caller asks."""

    def __init__(self, scope: Scope) -> None:
        self.by_key = {c.key: c for c in scope.conversations}
        self.by_connection: dict[tuple[bytes, bytes], list[Conversation]] = defaultdict(list)
        self.by_trace: dict[tuple[bytes, str], list[Conversation]] = defaultdict(list)
        self.by_id: dict[tuple[bytes, str, int], list[Conversation]] = defaultdict(list)  # next, and missing
        self.by_handle: dict[bytes, Conversation] = {}
        self.by_lane: dict[bytes, list[Conversation]] = defaultdict(list)
        self.running: dict[uuid.UUID, Conversation] = {}
        for conversation in scope.conversations:
            self.add(conversation)

    def add(self, c: Conversation) -> None:
        """A conversation as it stands."""
        self.by_key[c.key] = c
        self.by_lane[c.lane].append(c)
        for connection in c.connections:
            self.by_connection[c.lane, connection.name].append(c)
        for trace in c.traces:
            self.by_trace[c.lane, trace].append(c)
        if c.style is not None:
            for number in (c.next, *c.missing):
                self.by_id[c.lane, c.style, number].append(c)
        if c.handle is not None:
            self.by_handle[c.handle] = c
        for request, _, _ in c.running:
            self.running[request] = c

    def count_up(self, c: Conversation, number: int, gap: int) -> None:
        """The conversation used this id; at most `gap` before it are remembered as missing."""
        assert c.style is not None
        self.by_id[c.lane, c.style, number if number in c.missing else c.next].remove(c)
        if number < c.next:
            c.missing = [m for m in c.missing if m != number]
            return
        c.missing += range(max(c.next, number - gap), number)
        for skipped in range(max(c.next, number - gap), number):
            self.by_id[c.lane, c.style, skipped].append(c)
        while len(c.missing) > REMEMBERED:
            self.by_id[c.lane, c.style, c.missing.pop(0)].remove(c)
        c.next = number + 1
        self.by_id[c.lane, c.style, c.next].append(c)

    def connect(self, c: Conversation, asked: Asked) -> None:
        """The conversation used this connection, and is using it until its request ends."""
        name = asked.connection
        assert name is not None
        known = next((one for one in c.connections if one.name == name), None)
        if known is not None:
            known.free_us = BUSY
        else:
            c.connections.append(Connection(name, BUSY))
            self.by_connection[c.lane, name].append(c)
            if len(c.connections) > REMEMBERED:
                self.by_connection[c.lane, c.connections.pop(0).name].remove(c)

    def trace(self, c: Conversation, trace: str) -> None:
        """The conversation was part of this trace."""
        if trace in c.traces:
            return
        c.traces.append(trace)
        self.by_trace[c.lane, trace].append(c)
        if len(c.traces) > REMEMBERED:
            self.by_trace[c.lane, c.traces.pop(0)].remove(c)

    def run(self, c: Conversation, asked: Asked) -> None:
        """A request of it is in flight."""
        c.running = [one for one in c.running if one[2] > asked.at_us][-_RUNNING:]
        c.concurrent = c.concurrent or bool(c.running)
        c.running.append((asked.key, asked.connection or b"", BUSY))
        self.running[asked.key] = c
