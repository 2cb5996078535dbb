"""One exchange as it grows from facts, until every request in it has its verdict. Pure."""

import uuid

import msgspec

from mcp_weir.traffic.facts import Answer, Cancel, Closed, EventIds, Fact, Opened, Request

ExchangeId = tuple[uuid.UUID, int]
EVENT_IDS_KEPT = 256  # a client resumes from one of the last events it saw


class Origin(msgspec.Struct, frozen=True):
    """Who wrote the stream: from the segment header. Monotonic times compare within one `boot` only."""

    stream: uuid.UUID
    service: str
    instance: str
    key_id: str
    boot: str = ""


class Elsewhere(msgspec.Struct, frozen=True):
    """An answer or a cancel that may speak of a request of another exchange of the same session."""

    origin: Origin
    exchange: int
    seq: int
    session: uuid.UUID
    transport: str
    resumes: bytes | None
    wall_us: int
    mono_us: int
    said: Answer | Cancel


class ExchangeState(msgspec.Struct):
    """What is known of an exchange. Persisted whole while anything in it is unresolved."""

    origin: Origin
    opened: Opened
    requests: dict[int, Request] = {}
    answers: dict[int, Answer] = {}
    answered_us: dict[int, int] = {}  # microseconds since this exchange opened, for answers that came elsewhere
    cancelled: dict[int, int] = {}  # microseconds since this exchange opened
    operations: dict[int, uuid.UUID] = {}  # the operation that a later round or task request belongs to
    flags: dict[int, set[str]] = {}  # found by attribution: unlinked, duplicate_id, late, wall_clock
    closed: Closed | None = None
    interrupted: bool = False
    event_ids: list[bytes] = []
    settled: set[int] = set()
    announced: set[int] = set()  # shown as running already
    shown: bool = False  # as a stream that is open
    spoken: int = 0  # answers and cancels for other exchanges so far
    assigned: uuid.UUID | None = None
    continues: ExchangeId | None = None  # the exchange whose stream this one resumes
    forgotten: bool = False  # its subject asked to be: nothing that it says is taken any more

    @property
    def ident(self) -> ExchangeId:
        """The exchange's number within its worker's life."""
        return self.origin.stream, self.opened.exchange

    @property
    def finished(self) -> bool:
        """No more facts of its own will come."""
        return self.closed is not None or self.interrupted

    @property
    def session(self) -> uuid.UUID | None:
        """The transport session: as assigned by the answer to `initialize` or an endpoint event, or of the request.

        A client that begins anew may still name the session it had: what it was given is what it speaks in.
        """
        return self.assigned or self.opened.session

    @property
    def resumable(self) -> bool:
        """Event ids passed: the rest may come on another stream."""
        return bool(self.event_ids)

    @property
    def ended_us(self) -> int:
        """Wall time of its end, as far as known."""
        return self.opened.wall_us + (self.closed.at_us if self.closed else 0)

    def flag(self, member: int, name: str) -> None:
        """Mark one request."""
        self.flags.setdefault(member, set()).add(name)

    def shed(self, member: int) -> None:
        """Forget a settled request whole; -1 keeps in mind that the exchange carried one."""
        for kept in (self.requests, self.answers, self.answered_us, self.cancelled, self.operations, self.flags):
            kept.pop(member, None)
        self.settled.discard(member)
        self.announced.discard(member)
        self.settled.add(-1)

    def scrub(self) -> None:
        """Leave nothing of it but that it was, for ever: it can still be ended and counted."""
        opened = self.opened
        self.opened = Opened(
            exchange=opened.exchange, wall_us=opened.wall_us, mono_us=opened.mono_us, http_method=opened.http_method)
        for said in (self.requests, self.answers, self.answered_us, self.cancelled, self.operations, self.flags):
            said.clear()
        self.event_ids, self.assigned, self.continues, self.forgotten = [], None, None, True

    def fold(self, fact: Fact) -> Elsewhere | None:
        """Take one more fact of this exchange; returns what speaks of a request that is not in it."""
        if self.forgotten and not isinstance(fact, Closed):
            return None
        match fact:
            case Request():
                self.requests[fact.member] = fact
            case Answer() if fact.member is not None:
                self.answers.setdefault(fact.member, fact)
                self.assigned = self.assigned or fact.session
            case Answer() | Cancel():
                return self._elsewhere(fact)
            case EventIds():
                self.event_ids = [*self.event_ids, *fact.ids][-EVENT_IDS_KEPT:]
            case Closed():
                self.closed = fact
            case _:
                self.assigned = self.assigned or getattr(fact, "session", None)
        return None

    def _elsewhere(self, fact: Answer | Cancel) -> Elsewhere | None:
        if self.session is None:
            return None  # ids alone never join two exchanges
        self.spoken += 1
        opened = self.opened
        return Elsewhere(
            self.origin, opened.exchange, self.spoken, self.session, opened.transport, opened.resumes,
            opened.wall_us + fact.at_us, opened.mono_us + fact.at_us, fact,
        )
