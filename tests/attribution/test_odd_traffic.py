"""Odd but legal: what the specification allows and few send, as bytes; the rows must say what it was."""

import pytest

from mcp_weir.attribution.sessions import accepted, end_of

from .script import joined
from .spoken import Story, call, error, event, result, session_key

INITIALIZE = ('{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-06-18",'
              '"capabilities":{},"clientInfo":{"name":"c","version":"1"}}}')
BEGUN = '{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-06-18","capabilities":{}}}'
PING = '{"jsonrpc":"2.0","id":%s,"method":"ping"}'


def one(body: str | bytes, answer: str | bytes = b"", kind: str = "json", **more):
    story = Story()
    story.post(1, body, answer, kind, **more)
    return story.rows()


# Batches (2025-03-26)

def test_a_batch_is_answered_in_any_order_and_in_part() -> None:
    body = f"[{call('1', 'a')},{call('2', 'b')},{call('3', 'c')}]"
    rows = one(body, f"[{result('3', failed=True)},{result('1')}]")
    assert rows == [("1", "a", "ok"), ("2", "b", "no_answer"), ("3", "c", "tool_error")]


def test_a_batch_is_answered_by_events_each_alone_or_together() -> None:
    body = f"[{call('1', 'a')},{call('2', 'b')},{call('3', 'c')}]"
    rows = one(body, event(result("2")) + event(f"[{error('3')},{result('1')}]"), "sse")
    assert rows == [("1", "a", "ok"), ("2", "b", "ok"), ("3", "c", "rpc_error")]


def test_a_number_and_its_text_are_two_ids_in_one_batch() -> None:
    body = f"[{call('1', 'number')},{call(chr(34) + '1' + chr(34), 'text')}]"
    rows = one(body, f'[{result(chr(34) + "1" + chr(34), failed=True)},{result("1")}]')
    assert rows == [("1", "number", "ok"), ('"1"', "text", "tool_error")]


def test_a_response_within_a_batch_answers_the_server_and_the_rest_is_asked() -> None:
    story = Story()
    story.get(1, event('{"jsonrpc":"2.0","id":7,"method":"roots/list"}'), took=2)
    batch = f'[{{"jsonrpc":"2.0","id":7,"result":{{"roots":[]}}}},{call("7", "mine")}]'
    story.post(3, batch, f"[{result('7')}]")
    assert story.rows() == [("7", "roots/list", "ok"), ("7", "mine", "ok")]


def test_a_batch_of_nothing_but_responses_and_notifications_asks_nothing() -> None:
    body = '[{"jsonrpc":"2.0","method":"notifications/initialized"},{"jsonrpc":"2.0","id":1,"result":{}}]'
    assert one(body, status=202, kind="none") == []


def test_an_empty_batch_is_one_refused_exchange() -> None:
    assert one("[]", error("null", -32600), status=400) == [(None, None, "http_error")]


def test_one_bad_member_hides_no_other() -> None:
    rows = one(f'[1,null,"x",[],{call("1", "a")},{{"id":2}}]', f"[{error('null', -32600)},{result('1')}]")
    assert rows == [("1", "a", "ok")]


def test_of_two_with_one_id_in_a_batch_the_first_answer_is_the_firsts() -> None:
    story = Story()
    story.post(1, f"[{call('1', 'a')},{call('1', 'b')}]", f"[{result('1', failed=True)},{result('1')}]")
    assert [(row.target, row.outcome, row.flags) for row in story.whole()] == [
        ("a", "tool_error", []), ("b", "ok", ["duplicate_id"])]


# Ids

@pytest.mark.parametrize(("asked", "answered"), [
    ("1.0", "1"), ("1", "1.0"), ("1e3", "1000"), ("-0", "0"), ("1", "1e0"), ('"a"', '"\\u0061"'),
    ('"\\ud83d\\ude00"', '"\U0001f600"'), ("123456789012345678901234567890", "123456789012345678901234567890"),
    ('"\\ud800"', '"\\ud800"'), ('""', '""'), ("0", "0"), ("-5", "-5"), ('"null"', '"null"'),
    (f'"{"x" * 500}"', f'"{"x" * 500}"'), ("0.5", "0.5"),
])
def test_one_id_in_two_spellings_is_one(asked: str, answered: str) -> None:
    for kind, said in (("json", result(answered)), ("sse", event(result(answered)))):
        assert [outcome for _, _, outcome in one(call(asked), said, kind)] == ["ok"]


@pytest.mark.parametrize(("asked", "answered"), [
    ("1", '"1"'), ('"1"', "1"), ("1", "2"), ('"a"', '"A"'), ("1", "1.5"), ('"1.0"', '"1"'),
    ("9007199254740993", "9007199254740992"),
])
def test_another_id_answers_nothing(asked: str, answered: str) -> None:
    assert [outcome for _, _, outcome in one(call(asked), result(answered))] == ["no_answer"]


@pytest.mark.parametrize("id", ["null", None, '"server-error"'])
@pytest.mark.parametrize("kind", ["json", "sse"])
def test_an_error_that_names_no_request_is_the_only_ones(id: str | None, kind: str) -> None:
    said = error(id, -32700)
    story = Story()
    story.post(1, call("1"), event(said) if kind == "sse" else said, kind)
    assert [(row.outcome, row.error_code) for row in story.whole()] == [("rpc_error", -32700)]


def test_an_error_that_names_none_is_not_the_answer_where_there_is_one() -> None:
    for said in (event(error("null")) + event(result("1")), event(f"[{error(None)},{result('1')}]")):
        assert one(call("1"), said, "sse") == [("1", "t", "ok")]


def test_an_error_that_names_none_of_two_is_neithers() -> None:
    rows = one(f"[{call('1')},{call('2')}]", error("null", -32600))
    assert [outcome for _, _, outcome in rows] == ["no_answer", "no_answer"]


def test_a_result_that_names_no_request_answers_none() -> None:
    assert one(call("1"), result("null")) == [("1", "t", "no_answer")]


def test_both_members_of_a_response_that_has_two() -> None:
    assert one(call("1"), '{"jsonrpc":"2.0","id":1,"error":null,"result":{}}') == [("1", "t", "ok")]
    both = '{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"x"},"result":null}'
    assert one(call("1"), both) == [("1", "t", "rpc_error")]


def test_of_a_key_that_is_given_twice_the_last_counts() -> None:
    twice = '{"jsonrpc":"2.0","id":1,"id":2,"method":"x","method":"tools/call","params":{"name":"a","name":"b"}}'
    assert one(twice, result("2")) == [("2", "b", "ok")]


def test_the_same_id_in_two_exchanges_at_once_is_two_calls() -> None:
    story = Story()
    story.post(1, call("1", "a"), event(result("1", failed=True)), "sse", took=4)
    story.post(2, call("1", "b"), event(result("1")), "sse", took=1)
    assert story.rows() == [("1", "a", "tool_error"), ("1", "b", "ok")]


# Streams

@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("before", ["", "\ufeff", ":\n\n", "retry: 5\n\n", "id: 1\ndata\n\n", "id\n\n", "event: x\n\n"])
def test_lines_end_in_three_ways_and_events_may_be_empty(end: str, before: str) -> None:
    assert one(call("1"), before + event(result("1"), id="2", end=end), "sse") == [("1", "t", "ok")]


def test_data_over_several_lines_of_mixed_ends_is_one_message() -> None:
    said = result("1").replace(",", ",\ndata:\rdata: ")
    assert one(call("1"), f"event: message\r\ndata: {said}\r\r\n", "sse") == [("1", "t", "ok")]


def test_an_event_of_another_type_is_no_message() -> None:
    assert one(call("1"), f"event: other\ndata: {result('1')}\n\n", "sse") == [("1", "t", "no_answer")]


def test_an_event_without_its_end_is_not_dispatched() -> None:
    assert one(call("1"), f"data: {result('1')}\n", "sse", by="upstream") == [("1", "t", "upstream_aborted")]


def test_a_second_answer_to_one_request_changes_nothing() -> None:
    rows = one(call("1"), event(result("1", failed=True)) + event(result("1")), "sse")
    assert rows == [("1", "t", "tool_error")]


def test_an_answer_on_a_stream_that_resumes_nothing_is_not_believed() -> None:
    story = Story()
    story.get(0.5, event(result("1")), took=20)
    story.post(1, call("1"), b"", "sse", took=3)
    assert story.rows() == [("1", "t", "no_answer")]


def test_a_stream_that_is_resumed_twice_gives_its_answer_once() -> None:
    story = Story()
    story.post(1, call("1", "a"), event("", "e1"), "sse", took=1)
    story.get(3, event('{"jsonrpc":"2.0","method":"notifications/message"}', "e2"), after="e1", took=1, by="upstream")
    story.get(5, event(result("1"), "e3"), after="e2", took=1)
    story.get(7, event(result("1"), "e3"), after="e2", took=1)
    story.post(9, call("2", "b"), event(result("2")), "sse")
    assert story.rows() == [("1", "a", "ok"), ("2", "b", "ok")]


def test_an_event_id_of_another_session_resumes_nothing_here() -> None:
    story = Story()
    story.post(1, call("1", "a"), event("", "e1"), "sse", took=1)
    story.get(3, event(result("1")), after="e1", took=1, session="other")
    assert story.rows() == [("1", "a", "no_answer")]


def test_of_two_streams_with_one_id_the_answer_is_that_of_the_resumed() -> None:
    story = Story()
    story.post(1, call("1", "a"), event("", "a1"), "sse", took=1)
    story.post(3, call("1", "b"), event("", "b1"), "sse", took=1)
    story.get(5, event(result("1", failed=True)), after="b1", took=1)
    story.get(7, event(result("1")), after="a1", took=1)
    assert story.rows() == [("1", "a", "ok"), ("1", "b", "tool_error")]


def test_event_ids_that_repeat_within_a_stream_do_no_harm() -> None:
    story = Story()
    story.post(1, call("1"), event("", "e") + event("", "e") + "id: e\n\n", "sse", took=1)
    story.get(3, event(result("1"), "e"), after="e", took=1)
    assert story.rows() == [("1", "t", "ok")]


# Progress and cancels

def test_progress_is_counted_by_token_whatever_its_spelling_and_a_token_may_be_used_again() -> None:
    def told(token: str) -> str:
        return event(f'{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{token}}}}}')

    story = Story()
    body = f"""[{call('1', 'a', _meta='{"progressToken":1}')},{call('2', 'b', _meta='{"progressToken":"1"}')}]"""
    story.post(1, body, told("1.0") + told('"\\u0031"') + told("1") + event(result("1")) + event(result("2")), "sse")
    story.post(2, call("3", "c", _meta='{"progressToken":1}'), told("1") + event(result("3")), "sse")
    assert [(row.target, row.progress_count) for row in story.whole()] == [("a", 2), ("b", 1), ("c", 1)]


@pytest.mark.parametrize(("named", "outcome"), [("1", "cancelled"), ('"1"', "client_aborted"), ("1.0", "cancelled")])
def test_a_cancel_names_the_id_in_its_own_form(named: str, outcome: str) -> None:
    story = Story()
    story.post(1, call("1"), b"", "sse", took=2, by="client")
    cancel = f'{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{named}}}}}'
    story.post(2, cancel, status=202, kind="none")
    assert story.rows() == [("1", "t", outcome)]


def test_a_cancel_that_came_too_late_cancels_nothing() -> None:
    story = Story()
    story.post(1, call("1"), event(result("1")), "sse", took=1)
    cancel = '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}'
    story.post(3, cancel, status=202, kind="none")
    assert story.rows() == [("1", "t", "ok")]


# Heads, sessions, statuses

def test_a_byte_order_mark_hides_nothing() -> None:
    assert one(b"\xef\xbb\xbf" + call("1").encode(), b"\xef\xbb\xbf" + result("1").encode()) == [("1", "t", "ok")]


def test_poison_in_a_call_is_forwarded_and_named() -> None:
    rows = one(call("1", "a\\u0000\\ud800"), result("1"))
    assert [(id, outcome) for id, _, outcome in rows] == [("1", "ok")]


def test_a_session_id_in_another_case_is_another_session() -> None:
    story = Story()
    story.post(1, call("1"), result("1"), session="Ab")
    story.post(2, call("1"), error("null", -32001), session="aB", status=404)
    keys = [row.session_key for row in story.whole()]
    assert keys == [session_key("Ab"), session_key("aB")]
    assert [end.reason for end in map(end_of, joined(*story.lines).ended) if end] == ["lost"]


def test_of_several_session_headers_the_first_is_believed() -> None:
    story = Story()
    story.post(1, call("1"), result("1"), session="a", headers=((b"mcp-session-id", b"b"), (b"MCP-SESSION-ID", b"")))
    assert [row.session_key for row in story.whole()] == [session_key("a")]


@pytest.mark.parametrize(("status", "reasons"), [
    (200, ["client_delete"]), (204, ["client_delete"]), (405, ["client_delete"]), (404, []), (401, []), (500, []),
])
def test_a_client_that_deletes_its_session_is_done_with_it_also_where_nobody_may(
    status: int, reasons: list[str]
) -> None:
    story = Story()
    story.exchange("DELETE", 1, b"", b"", "none", status=status)
    assert [end.reason for end in map(end_of, joined(*story.lines).ended) if end] == reasons


def test_calls_that_run_while_the_session_is_deleted_end_as_they_end() -> None:
    story = Story()
    story.post(1, call("1", "answered"), event(result("1")), "sse", took=8)
    story.post(1.5, call("2", "left"), b"", "sse", took=4, by="client")
    story.post(1.6, call("3", "cut"), b"", "sse", took=4, by="upstream")
    story.exchange("DELETE", 3, b"", b"", "none", status=200)
    assert story.rows() == [("1", "answered", "ok"), ("2", "left", "client_aborted"), ("3", "cut", "upstream_aborted")]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_call_that_was_shown_the_way_is_one_call(status: int) -> None:
    """Servers whose path ends in a slash redirect there; clients follow."""
    story = Story()
    story.post(1, call("1"), b"", "none", status=status)
    story.post(1.2, call("1"), result("1"), path="/mcp/")
    assert story.rows() == [(None, None, "ok"), ("1", "t", "ok")]
    assert [accepted(state) for state in joined(*story.lines).ended] == [False, True]


def test_a_post_of_nothing_but_a_response_that_is_refused_is_a_failed_exchange() -> None:
    assert one('{"jsonrpc":"2.0","id":1,"result":{}}', error("null"), status=400) == [(None, None, "http_error")]


def test_requests_answered_202_were_not_answered() -> None:
    assert one(PING % 1, b"", "none", status=202) == [("1", "ping", "no_answer")]


def test_initialize_that_was_refused_with_a_session_header_begins_none() -> None:
    story = Story()
    story.post(1, INITIALIZE, error("0"), session=None, gives="new")
    assert [row.session_key for row in story.whole()] == [None]
    story = Story()
    story.post(1, INITIALIZE, BEGUN, session=None, gives="new")
    assert [row.session_key for row in story.whole()] == [session_key("new")]


def test_a_request_whose_id_is_null_is_no_request() -> None:
    story = Story()
    story.post(1, PING % "null", error("null", -32600), status=400)
    assert [(row.method, row.outcome, row.flags) for row in story.whole()] == [(None, "http_error", ["malformed"])]
