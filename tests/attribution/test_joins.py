"""What spans exchanges, told as conversations."""

import uuid

from mcp_weir.attribution.joins import Joiner
from mcp_weir.attribution.operations import HandedOut
from mcp_weir.traffic.facts import request_key

from .script import BASE_US, SESSION, Exchange, call, initialize, joined, origin, told

US = 1_000_000


def test_an_elicitation_is_answered_by_a_posted_response() -> None:
    tool, post = Exchange(0), Exchange(2)
    found = joined(
        [*tool.open(), *tool.asks(1)], tool.server_asks(1, at=0.5),
        [*post.open(), *post.answers(1, at=2, member=None, direction="server"), *post.closes(2.01, status=202)],
        [*tool.answers(1, at=3), *tool.closes(3)],
    )
    assert told(found) == [("1", "ok"), ("1", "ok")]
    by_direction = {row.direction: row for row, _ in found.rows}
    assert by_direction["server"].duration_ms == 1500 and by_direction["client"].duration_ms == 3000
    assert found.posted == [] and len(found.gone) == 2


def test_an_answered_elicitation_is_a_row_while_its_stream_still_runs() -> None:
    tool, post = Exchange(0), Exchange(2)
    found = joined(
        [*tool.open(), *tool.asks(1)], tool.server_asks(1, at=0.5),
        [*post.open(), *post.answers(1, at=2, member=None, direction="server"), *post.closes(2.01, status=202)],
    )
    assert told(found) == [("1", "ok")] and found.rows[0][0].direction == "server"
    assert tool.number in {number for _, number in found.open}


def test_http_sse_answers_come_on_the_get_stream() -> None:
    stream = Exchange(0, "GET", session=None, transport="sse")
    post = Exchange(1, transport="messages", session_source="endpoint")
    found = joined(
        [*stream.open(), *stream.assigned(0.01)],
        [*post.open(), *post.asks(7), *post.closes(1.01, status=202, response_kind="none")],
        stream.answers(7, at=1.5, member=None),
    )
    assert told(found) == [("7", "ok")]
    assert found.rows[0][0].duration_ms == 500


def test_an_answer_on_a_get_that_resumes_nothing_answers_no_post() -> None:
    post, stream = Exchange(0), Exchange(1, "GET")
    joiner = Joiner()
    found = joined([*post.open(), *post.asks(1), *post.event_ids("a"), *post.closes(0.5)],
                   [*stream.open(), *stream.answers(1, at=1.2, member=None)], until=2, joiner=joiner)
    assert told(found) == []
    assert len(found.posted) == 1


def test_a_stream_that_the_server_closed_early_is_answered_on_a_resumed_get() -> None:
    joiner = Joiner()
    post = Exchange(0)
    first = joined([*post.open(), *post.asks(3), *post.event_ids("e0"), *post.closes(1, response_kind="sse")],
                   until=5, joiner=joiner)
    assert told(first) == [] and list(first.open) == [(origin().stream, post.number)]
    again = Exchange(6, "GET", resumes=b"e0")
    then = joined([*again.open(), *again.event_ids("e1"), *again.answers(3, at=6.5, member=None), *again.closes(7)],
                  until=8, joiner=joiner)
    assert told(then) == [("3", "ok")]
    assert then.rows[0][0].duration_ms == 6500
    assert then.ended[0].continues == (origin().stream, post.number)


def test_a_chain_of_resumptions_leads_to_the_exchange_it_continues() -> None:
    """Two calls under one id wait: the event ids tell which of them the third stream goes on."""
    joiner = Joiner()
    one, two = Exchange(0), Exchange(1)
    joined([*one.open(), *one.asks(3), *one.event_ids("a0"), *one.closes(0.5)],
           [*two.open(), *two.asks(3), *two.event_ids("b0"), *two.closes(1.5)], until=2, joiner=joiner)
    b1, b2 = Exchange(3, "GET", resumes=b"b0"), Exchange(5, "GET", resumes=b"b1")
    found = joined([*b1.open(), *b1.event_ids("b1"), *b1.closes(4)],
                   [*b2.open(), *b2.answers(3, at=5.5, member=None), *b2.closes(6)], until=7, joiner=joiner)
    (row, _), = found.rows
    assert row.request_key == request_key(origin().stream, two.number, 0)
    assert row.flags == []


def test_two_unanswered_requests_under_one_id_are_flagged() -> None:
    one, two, post = Exchange(0), Exchange(1), Exchange(2)
    found = joined(
        [*one.open(), *one.server_asks(1, at=0.1)], [*two.open(), *two.server_asks(1, at=1.1)],
        [*post.open(), *post.answers(1, at=2, member=None, direction="server"), *post.closes(2)], until=3,
    )
    (row, _), = found.rows
    assert row.flags == ["duplicate_id"] and row.started_at.microsecond == 100_000 + BASE_US % 1_000_000


def test_ids_that_collide_in_both_directions_do_not_mix() -> None:
    """The client's call 1 and the server's request 1 are both open; the client answers the server's."""
    tool, post = Exchange(0), Exchange(1)
    found = joined(
        [*tool.open(), *tool.asks(1), *tool.event_ids("x")], tool.server_asks(1, at=0.5),
        [*post.open(), *post.answers(1, at=1, member=None, direction="server"), *post.closes(1)],
        tool.closes(2, by="complete"), until=3,
    )
    assert [(row.direction, row.outcome) for row, _ in found.rows] == [("server", "ok")]


def test_a_cancel_in_legacy_ends_a_call_and_an_error_that_answers_it_is_late() -> None:
    tool, notice = Exchange(0), Exchange(1)
    found = joined(
        [*tool.open(), *tool.asks(5)], [*notice.open(), *notice.cancels(5, at=1), *notice.closes(1, status=202)],
        [*tool.answers(5, at=1.2, outcome="rpc_error", error_code=0), *tool.closes(1.2)],
    )
    (row, _), = found.rows
    assert (row.outcome, row.flags, row.duration_ms) == ("cancelled", ["late"], 1000)


def test_a_cancel_that_is_read_after_the_call_still_counts_behind_the_watermark() -> None:
    tool, notice = Exchange(0), Exchange(1)
    joiner = Joiner()
    first = joined([*tool.open(), *tool.asks(5), *tool.closes(1.2, by="client")], until=1.1, joiner=joiner)
    assert told(first) == []
    then = joined([*notice.open(), *notice.cancels(5, at=1), *notice.closes(1, status=202)], until=2, joiner=joiner)
    assert told(then) == [("5", "cancelled")]


def test_a_disconnect_cancels_in_the_modern_era_and_aborts_in_the_legacy_one() -> None:
    modern = Exchange(0, session=None, protocol_version="2026-07-28")
    legacy = Exchange(1)
    found = joined([*modern.open(), *modern.asks(1), *modern.closes(0.5, by="client", status=None)],
                   [*legacy.open(), *legacy.asks(2), *legacy.closes(1.5, by="client", status=None)])
    assert told(found) == [("1", "cancelled"), ("2", "client_aborted")]


def test_a_legacy_client_that_left_a_resumable_stream_is_waited_for_until_its_session_ends() -> None:
    joiner = Joiner()
    tool = Exchange(0)
    joined([*tool.open(), *tool.asks(1), *tool.event_ids("a"), *tool.closes(0.5, by="client")], until=60, joiner=joiner)
    assert joiner.waiting_sessions() == [SESSION]
    joiner.session_ended(SESSION, BASE_US + 70 * US, None)
    assert told(joined(until=65, joiner=joiner)) == []
    assert told(joined(until=71, joiner=joiner)) == [("1", "client_aborted")]


def test_an_unanswered_call_is_no_answer_only_behind_the_watermark() -> None:
    joiner = Joiner(idle_window_us=60 * US)
    tool = Exchange(0)
    assert told(joined([*tool.open(), *tool.asks(1), *tool.event_ids("a"), *tool.closes(1)], until=50,
                       joiner=joiner)) == []
    assert told(joined(until=61.5, joiner=joiner)) == [("1", "no_answer")]
    assert joiner.exchanges == {}


def test_a_dead_worker_leaves_interrupted() -> None:
    joiner = Joiner()
    tool = Exchange(0)
    joined([*tool.open(), *tool.asks(1)], until=1, joiner=joiner)
    joiner.interrupt(origin().stream)
    assert told(joined(until=1, joiner=joiner)) == [("1", "interrupted")]


def test_what_this_recorder_cannot_place_is_posted_and_another_receives_it() -> None:
    here, there = Joiner(), Joiner()
    tool, post = Exchange(0), Exchange(1)
    for line in ([*tool.open(), *tool.asks(1), *tool.server_asks(1, at=0.5)],):
        there.take(origin(1), line)
    there.settle(BASE_US)
    here.take(origin(2, boot="other"), [*post.open(), *post.answers(1, at=1, member=None, direction="server"),
                                        *post.closes(1)])
    posted = here.settle(BASE_US).posted
    assert len(posted) == 1 and there.receive(posted[0])
    (row, _), = there.settle(BASE_US).rows
    assert (row.direction, row.outcome, row.flags) == ("server", "ok", ["wall_clock"])
    assert not there.receive(posted[0])


def test_rounds_are_one_operation_by_request_state() -> None:
    asked = call(1, 0, session=None, outcome="input_required", answered={"state_hash": b"s", "input_keys": ("k",)})
    retry = call(2, 5, session=None, state_hash=b"s", input_keys=("k",))
    found = joined(asked, retry)
    assert {row.operation_key for row, _ in found.rows} == {found.rows[0][0].request_key}
    assert [claim.claimed_by for claim in found.claims] == [found.rows[1][0].request_key]


def test_three_rounds_are_one_operation() -> None:
    rounds = [call(1, 0, session=None, outcome="input_required", answered={"state_hash": b"1"}),
              call(2, 5, session=None, state_hash=b"1", outcome="input_required", answered={"state_hash": b"2"}),
              call(3, 9, session=None, state_hash=b"2")]
    assert len({row.operation_key for row, _ in joined(*rounds).rows}) == 1


def test_rounds_without_state_are_linked_by_their_keys_behind_the_watermark() -> None:
    joiner = Joiner()
    asked = call(1, 0, session=None, outcome="input_required", answered={"input_keys": ("a", "b")})
    retry = call(2, 5, session=None, input_keys=("a", "b"))
    assert told(joined(asked, retry, until=4, joiner=joiner)) == [("1", "input_required")]
    (row, _), = joined(until=6, joiner=joiner).rows
    assert row.operation_key != row.request_key and row.flags == []


def test_two_candidates_leave_a_round_unlinked() -> None:
    asked = [call(n, n, session=None, outcome="input_required", answered={"input_keys": ("a",)}) for n in (1, 2)]
    found = joined(*asked, call(3, 5, session=None, input_keys=("a",)))
    last = found.rows[-1][0]
    assert last.operation_key == last.request_key and last.flags == ["unlinked"]


def test_rounds_of_another_principal_tool_or_key_are_not_linked() -> None:
    asked = call(1, 0, session=None, principal_key=b"p", outcome="input_required", answered={"input_keys": ("a",)})
    for other in ({"principal_key": b"q"}, {"target": "else"}, {"input_keys": ("a", "b")}):
        retry = call(2, 5, **{"session": None, "input_keys": ("a",), "principal_key": b"p", **other})
        last = joined(asked, retry).rows[-1][0]
        assert last.operation_key == last.request_key and last.flags == ["unlinked"], other


def test_a_round_whose_first_part_another_recorder_saw_waits_for_it() -> None:
    joiner = Joiner()
    retry = call(2, 5, session=None, state_hash=b"s")
    assert told(joined(retry, until=4, joiner=joiner)) == []
    (hash_,) = joiner.operations_wanted()
    operation = uuid.uuid4()
    joiner.learn([HandedOut(operation, hash_, operation, BASE_US)])
    (row, _), = joined(until=4, joiner=joiner).rows
    assert row.operation_key == operation


def test_a_task_is_one_operation_from_creation_to_result() -> None:
    found = joined(
        initialize(0), call(1, 1, answered={"task": b"t", "task_status": "working"}),
        call(2, 2, method="tasks/get", task=b"t", answered={"task": b"t", "task_status": "working"}),
        call(3, 3, method="tasks/get", task=b"t", answered={"task": b"t", "task_status": "failed",
                                                            "task_outcome": "tool_error"}),
        call(4, 4, method="tasks/result", task=b"t", outcome="tool_error"),
    )
    rows = {row.jsonrpc_id: row for row, _ in found.rows}
    assert {rows[n].operation_key for n in "1234"} == {rows["1"].request_key}
    assert [rows[n].outcome for n in "1234"] == ["ok", "ok", "tool_error", "tool_error"]


def test_a_refused_discover_is_a_probe_and_no_error() -> None:
    (row, _), = joined(call(0, 0, session=None, method="server/discover", outcome="rpc_error", status=400)).rows
    assert (row.outcome, row.http_status, row.flags) == ("ok", 400, ["probe"])


def test_memory_follows_what_is_unresolved() -> None:
    joiner = Joiner()
    for number in range(2000):
        joiner.take(origin(), call(number, number / 100))
        if number % 100 == 99:
            joiner.settle(0)
    joiner.settle(1 << 62)
    assert joiner.exchanges == {} and not joiner._by_stream and not joiner._by_session
    assert not joiner._asked._by_id
