"""Modern tries of legacy clients: refused requests that an `initialize` of the same client follows. Pure.

PROTOCOL.md, attribution 7. A client that speaks several revisions asks in the newest first (2026-07-28, basic,
versioning: fall back to `initialize` on a 4xx). That is a question about the server and no error of the client.
"""

from collections import OrderedDict, defaultdict
from typing import NamedTuple

from mcp_weir.attribution.state import ExchangeId, ExchangeState
from mcp_weir.attribution.verdicts import era_of, version_of
from mcp_weir.traffic.facts import Request

WITHIN_US = 5_000_000  # SDKs fall back within one round trip
_BEFORE_US = 2_000_000  # how far the clocks of two replicas may differ
_CLIENTS, _EACH = 4096, 64
_ASKS_WHO = frozenset({401, 403, 407, 408, 425, 429})  # says nothing about the revision

Address = tuple[str, bytes | None, str | None, str | None]  # service, principal, network address, agent


class Hello(NamedTuple):
    """An `initialize` that passed somewhere."""

    at_us: int
    name: str | None
    version: str | None


class Fallbacks:
    """What began lately, and who waits to see whether it does."""

    def __init__(self) -> None:
        self._hellos: OrderedDict[Address, list[Hello]] = OrderedDict()
        self._tries: dict[Address, dict[ExchangeId, int]] = defaultdict(dict)

    @property
    def since_us(self) -> int | None:
        """Wall time of the earliest try that waits; None where none does."""
        return min((at for waiting in self._tries.values() for at in waiting.values()), default=None)

    def learn(self, address: Address, hello: Hello) -> list[ExchangeId]:
        """An `initialize` passed; returns the tries that it may explain."""
        known = self._hellos.setdefault(address, [])
        if hello in known:
            return []
        self._hellos[address] = [*known, hello][-_EACH:]
        self._hellos.move_to_end(address)
        if len(self._hellos) > _CLIENTS:
            self._hellos.popitem(last=False)
        return list(self._tries.get(address, ()))

    def unlearn(self, state: ExchangeState) -> None:
        """Whoever began here is to be forgotten."""
        said = [hello_of(state, r) for r in state.requests.values() if r.method == "initialize"]
        left = [hello for hello in self._hellos.get(address_of(state), ()) if hello not in said]
        if said and left:
            self._hellos[address_of(state)] = left
        elif said:
            self._hellos.pop(address_of(state), None)

    def followed(self, state: ExchangeState, request: Request) -> bool:
        """The same client fell back to `initialize`."""
        said = request.client
        return any(
            -_BEFORE_US <= hello.at_us - state.opened.wall_us and hello.at_us <= state.ended_us + WITHIN_US
            and (said is None or (said.name, said.version) == (hello.name, hello.version))
            for hello in self._hellos.get(address_of(state), ()))

    def wait(self, state: ExchangeState) -> int:
        """Not yet known; returns until when it is, in wall time."""
        self._tries[address_of(state)][state.ident] = state.opened.wall_us
        return state.ended_us + WITHIN_US

    def drop(self, state: ExchangeState) -> None:
        """The try has its verdict."""
        waiting = self._tries.get(address_of(state))
        if waiting is not None:
            waiting.pop(state.ident, None)
            if not waiting:
                del self._tries[address_of(state)]


def address_of(state: ExchangeState) -> Address:
    """Never across principals; nor, where one client is taken for another, across addresses or agents."""
    opened = state.opened
    return state.origin.service, opened.principal_key, opened.client_addr, opened.user_agent


def hello_of(state: ExchangeState, request: Request) -> Hello:
    """What this `initialize` tells of its client."""
    who = request.client
    return Hello(state.opened.wall_us, who.name if who else None, who.version if who else None)


def is_try(state: ExchangeState, request: Request) -> bool:
    """A modern request that was refused in a way which may mean that the server is not modern."""
    closed = state.closed
    if closed is None or closed.upstream_error or state.session is not None or request.direction != "client":
        return False
    refused = 400 <= (closed.status or 0) < 500 and closed.status not in _ASKS_WHO
    return refused and request.method not in ("initialize", "server/discover") and era_of(
        version_of(state, request, None), state) == "modern"
