"""What spans exchanges: answers that come elsewhere, cancels, interruptions. Pure; called by the recorder only."""

import dataclasses
import uuid
from collections import defaultdict

from mcp_weir.attribution.state import ExchangeState, Origin
from mcp_weir.attribution.verdicts import Row, outcome_of, row_of
from mcp_weir.traffic.facts import Answer, Heartbeat, Line, Opened, Request

ExchangeId = tuple[uuid.UUID, int]
_Asked = tuple[str, uuid.UUID, str, str]


@dataclasses.dataclass(slots=True)
class Settled:
    """What one batch of lines came to."""

    rows: list[tuple[Row, ExchangeState]] = dataclasses.field(default_factory=list)
    ended: list[ExchangeState] = dataclasses.field(default_factory=list)  # exchanges over in this batch
    open: dict[ExchangeId, ExchangeState] = dataclasses.field(default_factory=dict)  # to be kept, as they stand
    gone: set[ExchangeId] = dataclasses.field(default_factory=set)  # nothing more to wait for


class Joiner:
    """Folds lines into exchanges and joins requests to answers. Holds what is unresolved; the recorder persists it."""

    def __init__(self) -> None:
        self.exchanges: dict[ExchangeId, ExchangeState] = {}
        self._asked: dict[_Asked, list[tuple[ExchangeId, int]]] = defaultdict(list)
        self._touched: set[ExchangeId] = set()
        self._closed_now: set[ExchangeId] = set()
        self._expired: list[tuple[ExchangeId, int]] = []

    def load(self, state: ExchangeState) -> None:
        """Take up an exchange that an earlier recorder left unresolved."""
        ident = (state.origin.stream, state.opened.exchange)
        self.exchanges[ident] = state
        for request in state.requests.values():
            self._await(ident, state, request)

    def take(self, origin: Origin, line: Line) -> None:
        """Fold one spool line."""
        for fact in line:
            if isinstance(fact, Heartbeat):
                continue
            ident = (origin.stream, fact.exchange)
            if isinstance(fact, Opened):
                self.exchanges.setdefault(ident, ExchangeState(origin, fact))
                self._touched.add(ident)  # its line's position is committed: so must it be, were it alone in the line
                continue
            state = self.exchanges.get(ident)
            if state is None:  # its Opened was lost with a dropped line: counted there
                continue
            was_finished = state.finished
            state.fold(fact)
            self._touched.add(ident)
            if state.finished and not was_finished:
                self._closed_now.add(ident)
            if isinstance(fact, Request):
                self._await(ident, state, fact)

    def interrupt(self, stream: uuid.UUID) -> None:
        """The stream's writer is dead and its last segment read: what is open will not be closed by it."""
        for ident, state in self.exchanges.items():
            if ident[0] == stream and not state.finished:
                state.interrupted = True
                self._touched.add(ident)
                self._closed_now.add(ident)

    def expire(self, before_us: int) -> None:
        """Give up waiting for what was asked before this wall time (microseconds)."""
        for ident, state in self.exchanges.items():
            if state.finished and state.opened.wall_us + (state.closed.at_us if state.closed else 0) < before_us:
                state.loose.clear()
                state.resumable = False
                self._touched.add(ident)
                for member in state.requests.keys() - state.answers.keys() - state.settled:
                    state.settled.add(member)
                    self._expired.append((ident, member))


    def settle(self) -> Settled:
        """Verdicts for everything touched since the last call."""
        result = Settled()
        self._match_loose()
        for ident, member in self._expired:
            state = self.exchanges[ident]
            result.rows.append((row_of(state, state.requests[member], "no_answer"), state))
        self._expired = []
        for ident in sorted(self._touched, key=lambda i: (str(i[0]), i[1])):
            state = self.exchanges[ident]
            if state.finished:
                self._verdicts(state, result)
            if ident in self._closed_now:
                result.ended.append(state)
            if state.finished and not state.loose and state.requests.keys() <= state.settled:
                result.gone.add(ident)
                self._forget(ident, state)
            else:
                result.open[ident] = state
        self._touched, self._closed_now = set(), set()
        return result

    def _verdicts(self, state: ExchangeState, result: Settled) -> None:
        for member, request in state.requests.items():
            if member in state.settled:
                continue
            outcome = outcome_of(state, request, state.answers.get(member))
            if outcome is not None:
                state.settled.add(member)
                result.rows.append((row_of(state, request, outcome), state))
        if not state.requests and state.closed is not None and -1 not in state.settled:
            state.settled.add(-1)
            outcome = _failure_without_request(state)
            if outcome is not None:
                result.rows.append((row_of(state, None, outcome), state))

    def _match_loose(self) -> None:
        for ident in list(self._touched):
            state = self.exchanges[ident]
            state.loose = [answer for answer in state.loose if not self._place(state, answer)]
            for cancel in state.cancels:
                found = self._find(state, cancel.direction, cancel.jsonrpc_id)
                if found is not None:
                    self.exchanges[found[0]].cancelled.add(found[1])
                    self._touched.add(found[0])
            state.cancels = []

    def _place(self, state: ExchangeState, answer: Answer) -> bool:
        found = self._find(state, answer.direction, answer.jsonrpc_id)
        if found is None:
            return state.session is None
        ident, member = found
        asker = self.exchanges[ident]
        asker.answers[member] = answer
        asker.answered_us[member] = state.opened.mono_us + answer.at_us
        self._touched.add(ident)
        return True

    def _find(self, state: ExchangeState, direction: str, jsonrpc_id: str) -> tuple[ExchangeId, int] | None:
        if state.session is None:
            return None
        for ident, member in self._asked.get((state.origin.service, state.session, direction, jsonrpc_id), ()):
            asker = self.exchanges.get(ident)
            if asker is not None and member not in asker.answers and member not in asker.settled:
                return ident, member
        return None

    def _await(self, ident: ExchangeId, state: ExchangeState, request: Request) -> None:
        if state.session is not None:
            key = (state.origin.service, state.session, request.direction, request.jsonrpc_id)
            self._asked[key].append((ident, request.member))

    def _forget(self, ident: ExchangeId, state: ExchangeState) -> None:
        del self.exchanges[ident]
        for request in state.requests.values():
            if state.session is None:
                continue
            key = (state.origin.service, state.session, request.direction, request.jsonrpc_id)
            left = [entry for entry in self._asked.get(key, ()) if entry[0] != ident]
            if left:
                self._asked[key] = left
            else:
                self._asked.pop(key, None)


def _failure_without_request(state: ExchangeState) -> str | None:
    closed = state.closed
    if closed is None:
        return None
    if "probe" in closed.flags:
        return "ok"
    if closed.upstream_error or (closed.status or 0) >= 400:
        return "http_error"
    if {"malformed", "oversized", "undecoded"} & set(closed.flags):
        return "ok" if closed.closed_by == "complete" else "client_aborted"
    return "upstream_aborted" if closed.closed_by == "upstream" and closed.status is None else None
