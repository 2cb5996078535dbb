"""Of whoever asked to be forgotten a joiner keeps nothing, whatever goes on in what was opened before."""

from collections.abc import Callable

from mcp_weir.attribution.joins import Joiner
from mcp_weir.attribution.state import ExchangeState
from mcp_weir.traffic.facts import Identity, TaskSeen

from .script import BASE_US, SESSION, Exchange, call, initialize, origin, told
from .test_fallbacks import refused

ALICE = b"alice"


def is_alice(state: ExchangeState) -> bool:
    return state.opened.principal_key == ALICE


def is_the_session(state: ExchangeState) -> bool:
    return state.session == SESSION


def all_memory(joiner: Joiner) -> str:
    """Everything that a joiner holds, as text; states as what would be written of them."""
    held = [joiner._asked._by_id, joiner._by_session, joiner.fallbacks._tries, joiner.fallbacks._hellos,
            joiner.operations._known, joiner.clients, joiner.introduced, joiner._heard, joiner._tasks]
    return repr(held) + repr(joiner.exchanges)


def left_of(covers: Callable[[ExchangeState], bool]) -> str:
    """What a joiner holds of everything that can be unresolved at once; no row comes of it, then or at the end."""
    joiner = Joiner(covers=covers)
    stream = Exchange(1, "GET", principal_key=ALICE, user_agent="hers")
    running = Exchange(2, principal_key=ALICE, user_agent="hers")
    first = initialize(0, principal_key=ALICE, name="hers")
    lines = [
        first[:2], first[2:], [*stream.open(), *stream.server_asks(5, at=1.5), *stream.event_ids("hers")],
        [*running.open(), *running.asks(7, arguments='"hers"', task=b"hers")],
        refused(3, name="hers", principal_key=ALICE) if covers is is_alice else [],
        call(8, 4, principal_key=ALICE, outcome="input_required", answered={"state_hash": b"hers"}),
        [TaskSeen(exchange=running.number, at_us=9, direction="client", task=b"hers", task_status="completed")],
    ]
    for line in lines:
        joiner.take(origin(), line)
    settled = joiner.settle(BASE_US)
    assert (settled.rows, settled.handed, settled.claims, settled.tasks, settled.posted) == ([], [], [], [], [])
    later = Exchange(6)  # an answer to a question that is no more
    joiner.take(origin(), [*later.open(), *later.answers(5, at=6, member=None, direction="server"),
                           *later.closes(6.1, status=202)])
    joiner.take(origin(), [*stream.server_asks(6, at=7), *stream.event_ids("hers")])
    held = all_memory(joiner)
    joiner.take(origin(), [*running.answers(7, at=8, error_message="hers"), *running.closes(8, status=404)])
    joiner.take(origin(), stream.closes(9))
    settled = joiner.settle(BASE_US + 10_000_000_000)
    assert told(settled) == [] and not joiner.exchanges
    assert len(settled.ended) == 3  # they are counted all the same
    return held + all_memory(joiner)


def test_of_a_principal_nothing_stays() -> None:
    held = left_of(is_alice)
    assert "hers" not in held and repr(ALICE) not in held


def test_of_a_session_nothing_stays_though_only_its_answer_says_which_it_is() -> None:
    held = left_of(is_the_session)
    assert "hers" not in held and repr(ALICE) not in held


def test_the_same_would_stay_of_anybody_else() -> None:
    """Or these tests look where nothing can be."""
    joiner = Joiner()
    joiner.introduce(SESSION, Identity(name="hers"))
    stream = Exchange(1, "GET", principal_key=ALICE)
    joiner.take(origin(), initialize(0, principal_key=ALICE, name="hers"))
    joiner.take(origin(), refused(3, name="hers", principal_key=ALICE))
    joiner.take(origin(), [*stream.open(), *stream.server_asks(5, at=1.5)])
    joiner.settle(BASE_US)
    for held in (joiner._asked._by_id, joiner.fallbacks._tries, joiner.fallbacks._hellos, joiner.clients):
        assert held
    assert "hers" in all_memory(joiner) and repr(ALICE) in all_memory(joiner)
