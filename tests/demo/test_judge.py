"""The demo's judge sees each way in which a record can be untrue, and no two of them hide one another."""

import dataclasses
import json
import uuid
from typing import Any

import pytest

from mcp_weir.demo.judge import Row, Verdict, judge
from mcp_weir.demo.ledger import Ledger
from mcp_weir.demo.wire import events_of

CALL = {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "add", "arguments": {}}}
SESSION = uuid.uuid4()


def talked() -> Ledger:
    """A conversation: initialize, one tool that fails, one question of the server, one refused GET."""
    ledger = Ledger()
    ledger.stamp(json.dumps({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {}}).encode())
    ledger.answered({"jsonrpc": "2.0", "id": 1, "result": {}})
    ledger.stamp(json.dumps(CALL).encode())
    ledger.answered({"jsonrpc": "2.0", "id": 1, "method": "elicitation/create", "params": {}})
    ledger.answered({"jsonrpc": "2.0", "id": 2, "result": {"isError": True}})
    ledger.failed("GET", 405, [])
    return ledger


def recorded(ledger: Ledger) -> list[Row]:
    def row(span: str | None, direction: str, **said: Any) -> Row:
        empty = {field.name: None for field in dataclasses.fields(Row)}
        return Row(**{
            **empty, "request_key": uuid.uuid4(), "session_key": SESSION, "span": span, "direction": direction,
            "era": "legacy", **said,
        })

    rows = [
        row(span, "client", method=sent.method, target=sent.target, jsonrpc_id=sent.jsonrpc_id, outcome=sent.outcome)
        for span, sent in ledger.sent.items()
    ]
    last = rows[-1].span
    rows.append(row(last, "server", method="elicitation/create", jsonrpc_id="1", outcome="ok"))
    return [*rows, row(None, "client", outcome="http_error", http_method="GET", http_status=405)]


def judged(ledger: Ledger, rows: list[Row], server: dict[str, int] | None = None) -> Verdict:
    return judge([ledger], rows, {"legacy": 1}, server or {"initialize": 1, "tools/call": 1})


def test_a_true_record_is_equal() -> None:
    ledger = talked()
    verdict = judged(ledger, recorded(ledger))
    assert verdict.differences == [] and verdict.equal
    assert verdict.sent["by_outcome"] == verdict.recorded["by_outcome"] == {"ok": 1, "tool_error": 1}


@pytest.mark.parametrize("lost", range(4))
def test_each_row_is_missed(lost: int) -> None:
    ledger = talked()
    rows = recorded(ledger)
    del rows[lost]
    verdict = judged(ledger, rows)
    assert (verdict.missing, verdict.duplicates) == (1, 0)


def test_a_missing_and_a_doubled_row_do_not_cancel_out() -> None:
    ledger = talked()
    rows = recorded(ledger)
    twice = dataclasses.replace(rows[0], request_key=uuid.uuid4())
    verdict = judged(ledger, [rows[0], twice, *rows[2:]])
    assert (verdict.missing, verdict.duplicates) == (1, 1)
    assert judged(ledger, [*rows, rows[0]]).duplicates == 2  # the request again, and the same key again


@pytest.mark.parametrize(
    "change", [{"outcome": "ok"}, {"method": "tools/list"}, {"target": "subtract"}, {"jsonrpc_id": '"2"'}]
)
def test_a_row_that_says_something_else_is_wrong(change: dict[str, str]) -> None:
    ledger = talked()
    rows = recorded(ledger)
    rows[1] = dataclasses.replace(rows[1], **change)
    assert judged(ledger, rows).wrong > 0


def test_rows_for_what_nobody_sent_the_servers_count_and_sessions() -> None:
    ledger = talked()
    rows = recorded(ledger)
    phantom = dataclasses.replace(rows[0], request_key=uuid.uuid4(), span="ff" * 8)
    assert judged(ledger, [*rows, phantom]).duplicates == 1
    assert judged(ledger, [*rows, dataclasses.replace(phantom, span=None)]).duplicates == 1
    assert judged(ledger, rows, {"initialize": 1, "tools/call": 2}).wrong == 1
    assert judge([ledger], rows, {"legacy": 2}, {"initialize": 1, "tools/call": 1}).wrong == 1


def test_who_left_has_cancelled_in_the_modern_era_and_gone_away_in_the_legacy_one() -> None:
    legacy, modern = Ledger(), Ledger()
    meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
    _, [asked] = legacy.stamp(json.dumps(CALL).encode())
    assert "client_aborted" in legacy.outcomes(asked)
    legacy.stamp(b'{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":2}}')
    assert legacy.outcomes(asked) == {"cancelled"}
    legacy.answered({"jsonrpc": "2.0", "id": 2, "error": {"code": 0, "message": "Request cancelled"}})
    assert legacy.outcomes(asked) == {"cancelled"}
    _, [asked] = modern.stamp(json.dumps({**CALL, "params": {**CALL["params"], "_meta": meta}}).encode())
    assert modern.outcomes(asked) == {"cancelled"}


@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_events_are_read_however_they_are_cut(end: bytes) -> None:
    lines = [b"event: message", b'data: {"id": 1}', b"", b": ping", b"", b"id: 7", b"data: ", b"", b"data: 2", b"", b""]
    stream = end.join(lines)
    for cut in range(len(stream)):
        first, rest = events_of(stream[:cut])
        second, rest = events_of(rest + stream[cut:])
        assert [*first, *second] == [b'{"id": 1}', b"2"] and rest == b""
