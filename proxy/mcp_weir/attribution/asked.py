"""Requests that may be answered or cancelled by another exchange, found by session, asker and id. Pure."""

import uuid
from collections.abc import Iterator

from mcp_weir.attribution.state import Elsewhere, ExchangeId, ExchangeState
from mcp_weir.traffic.facts import Answer, Request

_Asked = tuple[str, uuid.UUID, str, str]
SKEW_US = 2_000_000  # how far the clocks of two replicas may differ
ASKED_AT_MOST = 256  # questions of a server's that wait in one living stream: its state is written whole each time


class AskedIndex:
    """Work and memory follow what is unresolved, never what has passed."""

    def __init__(self) -> None:
        self._by_id: dict[_Asked, dict[tuple[ExchangeId, int], ExchangeState]] = {}

    def add(self, state: ExchangeState, request: Request) -> None:
        """This request is unresolved."""
        if state.session is not None:
            self._by_id.setdefault(_key(state, request), {})[state.ident, request.member] = state

    def drop(self, state: ExchangeState) -> None:
        """Nothing of this exchange is unresolved any more."""
        for request in state.requests.values() if state.session is not None else ():
            self.forget(state, request)

    def forget(self, state: ExchangeState, request: Request) -> None:
        """This request is resolved."""
        if state.session is None:
            return
        key = _key(state, request)
        entry = self._by_id.get(key)
        if entry is not None:
            entry.pop((state.ident, request.member), None)
            if not entry:
                del self._by_id[key]

    def place(self, found: Elsewhere) -> ExchangeState | None:
        """Give the answer or cancel to the request it speaks of; None when nobody here waits for it.

        Only where the protocol lets an answer come elsewhere (PROTOCOL.md, attribution 2): HTTP+SSE, a resumed
        GET, a posted response. Of several with one id, the exchange that is resumed, else the earliest.
        """
        candidates = sorted(self._candidates(found), key=lambda pair: _order(found, *pair))
        if not candidates:
            return None
        state, member = candidates[0]
        if len(candidates) > 1 and not _resumed(found, state):
            state.flag(member, "duplicate_id")
        same_boot = found.origin.boot == state.origin.boot
        at_us = found.mono_us - state.opened.mono_us if same_boot else found.wall_us - state.opened.wall_us
        if not same_boot:
            state.flag(member, "wall_clock")
        if isinstance(found.said, Answer):
            state.answers[member], state.answered_us[member] = found.said, at_us
        else:
            state.cancelled.setdefault(member, at_us)
        return state

    def _candidates(self, found: Elsewhere) -> Iterator[tuple[ExchangeState, int]]:
        key = (found.origin.service, found.session, found.said.direction, found.said.jsonrpc_id)
        for (_, member), state in self._by_id.get(key, {}).items():
            request = state.requests[member]
            asked_us = state.opened.wall_us + request.at_us
            if member in state.settled or asked_us > found.wall_us + SKEW_US:
                continue
            if isinstance(found.said, Answer) and (member in state.answers or not _may_answer(found, state, request)):
                continue
            yield state, member


def left_alone(state: ExchangeState, until_us: int) -> tuple[dict[int, str], int | None]:
    """Outcomes of what the server asked in a stream that lives and is not waited for any more, and the time of the
    earliest question that is: those from before `until_us` go, and all but the last ASKED_AT_MOST.

    A stream may live for months: what a client never answers would be in its state, and `running`, as long.
    """
    if state.finished:
        return {}, None
    over = state.answers.keys() | state.settled
    waits = [r for r in state.requests.values() if r.direction == "server" and r.member not in over]
    left: dict[int, str] = {}
    for at, request in enumerate(waits):
        asked_us = state.opened.wall_us + request.at_us
        if at >= len(waits) - ASKED_AT_MOST and asked_us > until_us:
            return left, asked_us
        left[request.member] = "cancelled" if request.member in state.cancelled else "no_answer"
    return left, None


def _key(state: ExchangeState, request: Request) -> _Asked:
    assert state.session is not None
    return state.origin.service, state.session, request.direction, request.jsonrpc_id


def _may_answer(found: Elsewhere, state: ExchangeState, request: Request) -> bool:
    if request.direction == "server":
        return True
    if state.opened.transport == "messages":
        return found.transport == "sse"
    return found.resumes is not None


def _resumed(found: Elsewhere, state: ExchangeState) -> bool:
    return found.resumes is not None and found.resumes in state.event_ids


def _order(found: Elsewhere, state: ExchangeState, member: int) -> tuple[bool, int, str, int]:
    asked_us = state.opened.wall_us + state.requests[member].at_us
    return not _resumed(found, state), asked_us, str(state.ident), member
