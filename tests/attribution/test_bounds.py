"""What a joiner holds follows what is unresolved, however often it is looked at."""

from mcp_weir.attribution.joins import Joiner
from mcp_weir.traffic.facts import Identity

from .script import BASE_US, SESSION, Exchange, origin, told


def test_an_exchange_that_is_looked_at_often_is_due_once() -> None:
    joiner, post = Joiner(), Exchange(0)
    joiner.introduce(SESSION, Identity(name="c"))
    for line in ([*post.open(), *post.asks(1), *post.event_ids("a"), *post.closes(0.5)], *[[]] * 200):
        joiner.take(origin(), [*line, *post.event_ids("b")])  # events go on, and each brings it up again
        assert told(joiner.settle(BASE_US + 1_000_000)) == []
        joiner.session_ended(SESSION, BASE_US + 3_000_000, "client")
    assert len(joiner._due) == 2  # its own time, and the session's end
    assert told(joiner.settle(BASE_US + 3_000_000)) == [("1", "client_aborted")]


def test_of_a_client_only_what_rows_say_is_remembered() -> None:
    joiner = Joiner()
    joiner.introduce(SESSION, Identity(name="c", version="1", capabilities='{"x": "' + "y" * 10_000 + '"}'))
    assert joiner.clients[SESSION] == Identity(name="c", version="1")
