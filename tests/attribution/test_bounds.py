"""What a joiner holds follows what is unresolved, however often it is looked at."""

import msgspec

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


def test_a_stream_that_is_pinged_for_months_weighs_no_more_than_at_first() -> None:
    """What is open is written whole with every batch that touches it: what is a row by now must not be in it."""
    joiner, stream, weights, rows = Joiner(), Exchange(0, "GET"), [], 0
    joiner.introduce(SESSION, Identity(name="c"))
    joiner.take(origin(), stream.open())
    for n in range(1, 200):
        post = Exchange(n)
        joiner.take(origin(), stream.server_asks(n, at=n, method="ping"))
        joiner.take(origin(), [*post.open(), *post.answers(n, at=n + 0.1, member=None, direction="server"),
                               *post.closes(n + 0.1, status=202)])
        rows += len(joiner.settle(BASE_US + n * 1_000_000).rows)
        weights.append(len(msgspec.msgpack.encode(joiner.exchanges[origin().stream, stream.number])))
    assert rows == 199
    assert weights[-1] <= weights[5] + 20
    joiner.take(origin(), stream.closes(300, response_kind="sse"))
    settled = joiner.settle(BASE_US + 400_000_000)
    assert told(settled) == [] and settled.open == {} and not joiner.exchanges
    assert not joiner._asked._by_id


def test_a_stream_whose_client_never_answers_weighs_no_more_after_a_day_than_after_an_hour() -> None:
    """What nobody answers gets its verdict behind the idle window, though the stream goes on."""
    joiner, stream, weights, rows = Joiner(), Exchange(0, "GET"), {}, []
    joiner.introduce(SESSION, Identity(name="c"))
    joiner.take(origin(), stream.open())
    for at in range(30, 86_400, 30):
        joiner.take(origin(), stream.server_asks(at, at=at, method="ping"))
        joiner.take(origin(), stream.cancels(at, at=at + 1, direction="server") if at % 60 == 0 else [])
        settled = joiner.settle(BASE_US + at * 1_000_000)
        rows += told(settled)
        weights[at] = len(msgspec.msgpack.encode(joiner.exchanges[origin().stream, stream.number]))
    assert max(weights.values()) <= weights[3600] * 1.1
    assert rows == [(str(at), "cancelled" if at % 60 == 0 else "no_answer") for at in range(30, 86_370 - 1800 + 1, 30)]
    assert len(joiner._asked._by_id) <= 62 and len(joiner._due) <= 2
    joiner.take(origin(), stream.closes(86_400, response_kind="sse"))
    assert len(told(joiner.settle(BASE_US + 90_000_000_000))) == 60 and not joiner.exchanges


def test_of_a_thousand_questions_at_once_the_last_256_wait() -> None:
    joiner, stream, post = Joiner(), Exchange(0, "GET"), Exchange(3)
    joiner.introduce(SESSION, Identity(name="c"))
    joiner.take(origin(), [*stream.open(), *(fact for n in range(1000) for fact in stream.server_asks(n, at=1))])
    assert told(joiner.settle(0)) == [(str(n), "no_answer") for n in range(744)]
    joiner.take(origin(), [*post.open(), *post.answers(999, at=3, member=None, direction="server"),
                           *post.closes(3.1, status=202)])
    assert told(joiner.settle(0)) == [("999", "ok")]  # and an answer finds its question among them
    state = joiner.exchanges[origin().stream, stream.number]
    joiner.take(origin(), stream.event_ids("a"))
    joiner.settle(0)
    assert len(state.requests) == len(joiner._asked._by_id) == 255


def test_a_stream_in_which_nothing_more_passes_is_looked_at_all_the_same() -> None:
    joiner, stream = Joiner(idle_window_us=60_000_000), Exchange(0, "GET")
    joiner.introduce(SESSION, Identity(name="c"))
    joiner.take(origin(), [*stream.open(), *stream.server_asks(1, at=1), *stream.server_asks(2, at=3)])
    told_at = {at: told(joiner.settle(BASE_US + at * 1_000_000)) for at in (2, 60, 62, 64, 500)}
    assert told_at == {2: [], 60: [], 62: [("1", "no_answer")], 64: [("2", "no_answer")], 500: []}
