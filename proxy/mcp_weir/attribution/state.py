"""One exchange as it grows from facts, until every request in it has its verdict. Pure."""

import uuid

import msgspec

from mcp_weir.traffic.facts import Answer, Cancel, Closed, EventIds, Fact, Opened, Request


class Origin(msgspec.Struct, frozen=True):
    """Who wrote the stream: from the segment header."""

    stream: uuid.UUID
    service: str
    instance: str
    key_id: str


class ExchangeState(msgspec.Struct):
    """What is known of an exchange. Persisted whole while anything in it is unresolved."""

    origin: Origin
    opened: Opened
    requests: dict[int, Request] = {}
    answers: dict[int, Answer] = {}
    answered_us: dict[int, int] = {}  # absolute CLOCK_MONOTONIC, for answers that came elsewhere
    cancelled: set[int] = set()
    loose: list[Answer] = []
    cancels: list[Cancel] = []
    closed: Closed | None = None
    interrupted: bool = False
    resumable: bool = False  # event ids passed: the rest may come on another stream
    settled: set[int] = set()

    @property
    def finished(self) -> bool:
        """No more facts of its own will come."""
        return self.closed is not None or self.interrupted

    @property
    def session(self) -> uuid.UUID | None:
        """The transport session: of the request, or as assigned by the answer to `initialize`."""
        if self.opened.session is not None:
            return self.opened.session
        return next((a.session for a in self.answers.values() if a.session is not None), None)

    def fold(self, fact: Fact) -> None:
        """Take one more fact of this exchange."""
        match fact:
            case Request():
                self.requests[fact.member] = fact
            case Answer() if fact.member is not None:
                self.answers[fact.member] = fact
            case Answer():
                self.loose.append(fact)
            case Cancel():
                self.cancels.append(fact)
            case EventIds():
                self.resumable = True
            case Closed():
                self.closed = fact
            case _:
                pass
