"""Folds lines into exchanges and joins what spans them. Pure: what the database knows is handed in.

What cannot be joined in this recorder's memory is posted for the others; what others posted is received.
Negative verdicts wait for the watermark: the wall time before which everything that opened is known.
"""

import dataclasses
import uuid
from collections import OrderedDict, defaultdict, deque
from collections.abc import Callable

from mcp_weir.attribution.asked import AskedIndex, left_alone
from mcp_weir.attribution.due import EVER, Due
from mcp_weir.attribution.fallbacks import Address, Fallbacks, Hello, address_of, hello_of, is_try
from mcp_weir.attribution.operations import HandedOut, Operations, TaskEnd, handed_out, looks_for, task_end
from mcp_weir.attribution.state import Elsewhere, ExchangeId, ExchangeState, Origin
from mcp_weir.attribution.verdicts import (
    Row,
    given_up,
    may_be_cancelled,
    outcome_of,
    redirected,
    row_of,
    without_request,
)
from mcp_weir.traffic.facts import (
    Answer,
    Assigned,
    EventIds,
    Fact,
    Heartbeat,
    Identity,
    Line,
    Opened,
    Request,
    TaskSeen,
)

_RESUMED_WITHIN_US = 300_000_000  # how long a closed standing stream is remembered for one that resumes it
_CLIENTS_KNOWN = 65_536
_HELD_AT_MOST = 100_000  # exchanges in memory; beyond it the oldest that only wait are given up


@dataclasses.dataclass(slots=True)
class Settled:
    """What one batch of lines came to."""

    rows: list[tuple[Row, ExchangeState]] = dataclasses.field(default_factory=list)
    ended: list[ExchangeState] = dataclasses.field(default_factory=list)  # exchanges over in this batch
    open: dict[ExchangeId, ExchangeState] = dataclasses.field(default_factory=dict)  # to be kept, as they stand
    gone: set[ExchangeId] = dataclasses.field(default_factory=set)  # nothing more to wait for
    posted: list[Elsewhere] = dataclasses.field(default_factory=list)  # for whoever holds the request
    handed: list[HandedOut] = dataclasses.field(default_factory=list)
    claims: list[HandedOut] = dataclasses.field(default_factory=list)
    tasks: list[TaskEnd] = dataclasses.field(default_factory=list)
    clients: dict[uuid.UUID, Identity] = dataclasses.field(default_factory=dict)  # of sessions, as far as known

    def who_of(self, state: ExchangeState) -> Identity | None:
        """The client of the exchange's session."""
        return self.clients.get(state.session) if state.session is not None else None


class Joiner:
    """Holds what is unresolved; the recorder persists it. Work follows what a batch touches, not what is held."""

    def __init__(
        self, idle_window_us: int = 1_800_000_000, covers: Callable[[ExchangeState], bool] = lambda _: False
    ) -> None:
        self.exchanges: dict[ExchangeId, ExchangeState] = {}
        self.operations = Operations()
        self.fallbacks = Fallbacks()
        self.clients: OrderedDict[uuid.UUID, Identity] = OrderedDict()
        self.introduced: deque[uuid.UUID] = deque(maxlen=_CLIENTS_KNOWN)  # for whoever keeps what depends on it
        self._idle_window_us = idle_window_us
        self._covers = covers  # whose exchange this is asked to be forgotten: of it nothing is kept
        self._asked = AskedIndex()
        self._by_stream: dict[uuid.UUID, set[ExchangeId]] = defaultdict(set)
        self._by_session: dict[uuid.UUID, set[ExchangeId]] = defaultdict(set)
        self._touched: set[ExchangeId] = set()
        self._closed_now: set[ExchangeId] = set()
        self._heard: list[Elsewhere] = []
        self._tasks: list[TaskEnd] = []
        self._due = Due()
        self._given_up: dict[ExchangeId, str] = {}
        self._waiting: set[ExchangeId] = set()  # over, and unresolved
        self._fresh: set[ExchangeId] = set()  # not in the database yet: nobody else can have known of it

    def load(self, state: ExchangeState) -> None:
        """Take up an exchange that an earlier recorder left unresolved."""
        if state.ident in self.exchanges:
            return
        self._hold(state)
        for request in state.requests.values():
            self._asked.add(state, request)
        self._touched.add(state.ident)

    def take(self, origin: Origin, line: Line) -> None:
        """Fold one spool line."""
        for fact in line:
            if isinstance(fact, Heartbeat):
                continue
            ident = (origin.stream, fact.exchange)
            if isinstance(fact, Opened):
                if ident not in self.exchanges:
                    opened = ExchangeState(origin, fact, continues=self._continued(fact))
                    if self._covers(opened):
                        opened.scrub()
                    self._hold(opened)
                    self._fresh.add(ident)
                self._touched.add(ident)  # its line's position is committed: so must it be, were it alone in the line
                continue
            state = self.exchanges.get(ident)
            if state is None:  # its Opened was lost with a dropped line: counted there
                continue
            was_finished, session = state.finished, state.session
            if isinstance(fact, Answer | Assigned) and fact.session not in (None, session):
                self._asked.drop(state)
            heard = state.fold(fact)
            if state.session != session and self._covers(state):
                self._scrub(state)
            elif state.session != session:  # whatever is unresolved waits under its new name
                for request in state.requests.values():
                    self._asked.add(state, request)
            self._touched.add(ident)
            if state.finished and not was_finished:
                self._closed_now.add(ident)
            if heard is not None:
                self._heard.append(heard)
            if not state.forgotten:
                self._note(state, fact)

    def _note(self, state: ExchangeState, fact: Fact) -> None:
        """What a fact says beyond its own exchange."""
        if isinstance(fact, TaskSeen) and (end := task_end(state, fact)) is not None:
            self._tasks.append(end)
        if isinstance(fact, EventIds) and state.continues in self.exchanges:
            self.exchanges[state.continues].fold(fact)  # a chain of resumptions leads back to the first
        if isinstance(fact, Request):
            self._asked.add(state, fact)
            if fact.method == "initialize":
                self.greeted(address_of(state), hello_of(state, fact))

    def _scrub(self, state: ExchangeState) -> None:
        """Only now is it known whose exchange this is."""
        self.fallbacks.unlearn(state)
        state.scrub()

    def receive(self, heard: Elsewhere) -> bool:
        """An answer or cancel that another exchange carried; False when no request here waits for it."""
        state = self._asked.place(heard)
        if state is None:
            return False
        self._touched.add(state.ident)
        return True

    def greeted(self, address: Address, hello: Hello) -> None:
        """An `initialize` passed, here or in another recorder's hands: what was tried before it may be a probe."""
        self._touched.update(ident for ident in self.fallbacks.learn(address, hello) if ident in self.exchanges)

    def interrupt(self, stream: uuid.UUID) -> None:
        """The stream's writer is dead and its last segment read: what is open will not be closed by it."""
        for ident in self._by_stream.get(stream, ()):
            state = self.exchanges[ident]
            if not state.finished:
                state.interrupted = True
                self._touched.add(ident)
                self._closed_now.add(ident)

    @property
    def waits(self) -> bool:
        """Something here may be answered by another exchange."""
        return bool(self.exchanges)

    def waiting_sessions(self) -> list[uuid.UUID]:
        """Transport sessions in which something over is unresolved: worth asking whether they have ended."""
        sessions = {self.exchanges[ident].opened.session for ident in self._waiting}
        return sorted(key for key in sessions if key is not None)

    def session_ended(self, session: uuid.UUID, at_us: int, closed_by: str | None) -> None:
        """Nothing will be answered in this session after that wall time."""
        why = {"client": "client_aborted", "upstream": "upstream_aborted"}.get(closed_by or "", "")
        for ident in self._by_session.get(session, set()) & self._waiting:
            self._due.agree(at_us, ident, why)

    def introduce(self, session: uuid.UUID, client: Identity) -> None:
        """Who the client of a transport session is: its rows say so too."""
        self.clients[session] = Identity(name=client.name, version=client.version)  # its capabilities may be long
        self.clients.move_to_end(session)
        self.introduced.append(session)
        if len(self.clients) > _CLIENTS_KNOWN:
            self.clients.popitem(last=False)

    def strangers(self) -> set[uuid.UUID]:
        """Sessions touched whose client is not known here."""
        sessions = {self.exchanges[ident].session for ident in self._touched | self._waiting}
        return {key for key in sessions if key is not None and key not in self.clients}

    def operations_wanted(self) -> list[bytes]:
        """Hashes under which other recorders may have handed out an operation that goes on here."""
        wanted = set()
        for ident in self._touched | self._waiting:
            state = self.exchanges[ident]
            for member in state.requests.keys() - state.settled - state.operations.keys():
                wanted.add(looks_for(state, state.requests[member]))
        return sorted(hash_ for hash_ in wanted if hash_ is not None)

    def learn(self, handed: list[HandedOut]) -> None:
        """What other recorders know to have been handed out under these hashes."""
        for one in handed:
            self.operations.learn(one)
        hashes = {one.hash for one in handed}
        for ident in self._waiting if hashes else ():  # only whom it concerns: what is touched is written anew
            state = self.exchanges[ident]
            if any(looks_for(state, state.requests[m]) in hashes for m in state.requests.keys() - state.settled):
                self._touched.add(ident)

    def continuations_wanted(self) -> list[tuple[ExchangeId, uuid.UUID, bytes]]:
        """Resumed streams whose first part is not held here: (exchange, session, event id's hash)."""
        found = ((ident, self.exchanges[ident]) for ident in self._touched)
        return [
            (ident, state.session, state.opened.resumes)
            for ident, state in found
            if state.opened.resumes is not None and state.continues is None and state.session is not None
        ]

    def settle(self, watermark_us: int) -> Settled:
        """Verdicts for everything touched, or due, since the last call."""
        result = Settled(clients=self.clients)
        for heard in sorted(self._heard, key=lambda h: (h.wall_us, str(h.origin.stream), h.exchange, h.seq)):
            if not self.receive(heard):
                result.posted.append(heard)
        self._heard = []
        self._fall_due(watermark_us)
        for ident in self._touched:
            self._shed(self.exchanges[ident])
        pending = sorted(self._touched, key=lambda i: (self.exchanges[i].opened.wall_us, str(i[0]), i[1]))
        for ident in pending:
            state = self.exchanges[ident]
            self._verdicts(state, result, 0 if ident in self._fresh else watermark_us)
            if ident in self._closed_now:
                result.ended.append(state)
            if state.finished and state.requests.keys() <= state.settled and not self._lingers(state, watermark_us):
                result.gone.add(ident)
                self._forget(state)
            else:
                result.open[ident] = state
        result.claims, self.operations.claims = self.operations.claims, []
        result.tasks, self._tasks = self._tasks, []
        self._touched, self._closed_now, self._given_up, self._fresh = set(), set(), {}, set()
        return result

    def _shed(self, state: ExchangeState) -> None:
        """Forget what a stream that goes on was asked, and what is a row by now: a server may ping it for months."""
        if state.finished:
            return
        for member in [m for m in state.settled & state.requests.keys() if state.requests[m].direction == "server"]:
            self._asked.forget(state, state.requests[member])
            state.shed(member)

    def _verdicts(self, state: ExchangeState, result: Settled, watermark_us: int) -> None:
        left = self._left_alone(state, watermark_us)
        elsewhere = set(state.requests) if redirected(state) else set()
        state.settled |= elsewhere
        for member, request in state.requests.items():
            if member in state.settled:
                continue
            outcome = left.get(member) or self._outcome(state, request, watermark_us)
            if outcome is None or not self._linked(state, request, watermark_us):
                continue
            if not self._introduced(state, request, watermark_us):
                continue
            state.settled.add(member)
            if request.method == "initialize" and request.client is not None and state.session is not None:
                self.introduce(state.session, request.client)
            row = row_of(state, request, outcome, result.who_of(state))
            result.rows.append((row, state))
            answer = state.answers.get(member)
            if answer is not None:
                self._goes_on(state, request, answer, row, result)
        if state.finished and -1 not in state.settled and state.requests.keys() <= elsewhere:
            state.settled.add(-1)
            outcome = without_request(state)
            if outcome is not None and not state.forgotten:
                result.rows.append((row_of(state, None, outcome, result.who_of(state)), state))

    def _goes_on(self, state: ExchangeState, request: Request, answer: Answer, row: Row, result: Settled) -> None:
        """What this answer tells of operations of more than one request."""
        handed = handed_out(state, request, answer, row.operation_key)
        if handed is not None:
            self.operations.learn(handed)
            result.handed.append(handed)
        end = task_end(state, answer) if request.method in ("tasks/get", "tasks/cancel") else None
        if end is not None:
            self._tasks.append(end)

    def _outcome(self, state: ExchangeState, request: Request, watermark_us: int) -> str | None:
        member = request.member
        answered = member in state.answers
        if not state.finished and not (request.direction == "server" and answered):
            return None
        outcome = outcome_of(state, request)
        if outcome is None:
            if state.ident in self._given_up or watermark_us >= state.ended_us + self._idle_window_us:
                return given_up(state, request, self._given_up.get(state.ident, ""))
            self._wait(state, state.ended_us + self._idle_window_us)
            return None
        over_us = max(state.ended_us, state.opened.wall_us + state.answered_us.get(member, 0))
        if may_be_cancelled(state, request, outcome) and watermark_us < over_us:
            self._wait(state, over_us)
            return None
        return self._tried(state, request, outcome, watermark_us) if is_try(state, request) else outcome

    def _left_alone(self, state: ExchangeState, watermark_us: int) -> dict[int, str]:
        until_us = EVER if state.ident in self._given_up else watermark_us - self._idle_window_us
        left, next_us = left_alone(state, until_us)
        if next_us is not None:
            self._due.agree(next_us + self._idle_window_us, state.ident, "again")
        return left

    def _tried(self, state: ExchangeState, request: Request, outcome: str, watermark_us: int) -> str | None:
        """A refused modern try is a probe where `initialize` follows: wait until that is known."""
        if self.fallbacks.followed(state, request):
            state.flag(request.member, "probe")
            outcome = "ok"
        elif watermark_us < (until_us := self.fallbacks.wait(state)) and state.ident not in self._given_up:
            self._wait(state, until_us)
            return None
        self.fallbacks.drop(state)
        return outcome

    def _linked(self, state: ExchangeState, request: Request, watermark_us: int) -> bool:
        if request.member in state.operations:
            return True
        found = self.operations.link(state, request, watermark_us)
        if found == "waits":
            self._wait(state, state.opened.wall_us + request.at_us)
            return False
        if isinstance(found, uuid.UUID):
            state.operations[request.member] = found
        return True

    def _introduced(self, state: ExchangeState, request: Request, watermark_us: int) -> bool:
        """Whether it is known who the session's client is, or known that nobody can say."""
        if state.session is None or request.client is not None or state.session in self.clients:
            return True
        if watermark_us < state.opened.wall_us:
            self._wait(state, state.opened.wall_us)
            return False
        self.introduce(state.session, Identity())
        return True

    def _wait(self, state: ExchangeState, until_us: int) -> None:
        self._waiting.add(state.ident)
        self._due.agree(until_us, state.ident, "again")

    def _lingers(self, state: ExchangeState, watermark_us: int) -> bool:
        until_us = state.ended_us + min(_RESUMED_WITHIN_US, self._idle_window_us)
        if state.opened.http_method != "GET" or not state.resumable or watermark_us >= until_us:
            return False
        self._wait(state, until_us)
        return True

    def _continued(self, opened: Opened) -> ExchangeId | None:
        if opened.resumes is None or opened.session is None:
            return None
        held = (self.exchanges[ident] for ident in self._by_session.get(opened.session, ()))
        return next((state.continues or state.ident for state in held if opened.resumes in state.event_ids), None)

    def _fall_due(self, watermark_us: int) -> None:
        crowded = len(self.exchanges) > _HELD_AT_MOST
        while (due := self._due.take(EVER if crowded else watermark_us)) is not None:
            ident, why = due
            if ident not in self.exchanges:
                continue
            self._touched.add(ident)
            if why != "again" or crowded:
                self._given_up[ident] = "" if why == "again" else why
            crowded = crowded and len(self.exchanges) - len(self._given_up) > _HELD_AT_MOST

    def _hold(self, state: ExchangeState) -> None:
        self.exchanges[state.ident] = state
        self._by_stream[state.origin.stream].add(state.ident)
        if state.opened.session is not None:
            self._by_session[state.opened.session].add(state.ident)

    def _forget(self, state: ExchangeState) -> None:
        ident = state.ident
        del self.exchanges[ident]
        self._waiting.discard(ident)
        self._asked.drop(state)
        for index, key in ((self._by_stream, state.origin.stream), (self._by_session, state.opened.session)):
            held = index.get(key) if key is not None else None
            if held is not None:
                held.discard(ident)
                if not held:
                    del index[key]  # type: ignore[arg-type]
