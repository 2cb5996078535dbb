"""JSON-RPC from bytes: ids keep their form, bad members do not hide good ones, nothing raises."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_weir.wire.headers import index, media_type, mirrored
from mcp_weir.wire.jsonrpc import MAX_MEMBERS, read_messages
from mcp_weir.wire.lenient import mended

CALL = b'{"jsonrpc":"2.0","id":1,"method":"ping"}'


def test_a_request_a_notification_a_response() -> None:
    for body, kind in (
        (CALL, "request"),
        (b' \r\n{"method":"m","jsonrpc":"2.0"}\n', "notification"),
        (b'{"jsonrpc":"2.0","id":"a","result":null}', "response"),
        (b'{"jsonrpc":"2.0","id":null,"error":{"code":1,"message":"m"}}', "response"),
    ):
        ((message, said, size),) = read_messages(body).members
        assert (said, message.is_response) == (kind, kind == "response")
        assert size == len(body.lstrip())


def test_ids_keep_their_form() -> None:
    found = read_messages(b'[{"id":1,"method":"a"},{"id":"1","method":"b"},{"id":1.0,"method":"c"}]')
    assert [bytes(message.id) for message, _, _ in found.members] == [b"1", b'"1"', b"1.0"]
    assert found.batch and not found.malformed


@pytest.mark.parametrize(
    "bad",
    [b"1", b"null", b"[]", b"{}", b'{"id":1}', b'{"id":1,"method":5}', b'{"id":null,"method":"m"}',
     b'{"id":{},"method":"m"}', b'{"error":"invalid_token"}', b'{"error":{"code":401}}', b'"x"'],
)
def test_a_bad_member_does_not_hide_the_others(bad: bytes) -> None:
    found = read_messages(b"[" + CALL + b"," + bad + b"," + CALL + b"]")
    assert len(found.members) == 2 and found.malformed
    alone = read_messages(bad)
    assert alone.malformed and not alone.members


@pytest.mark.parametrize(
    "body",
    [b"", b" ", b"[", b"[]", b"nonsense", b"\xff", b"\0", CALL + b"x", b"[" * 100_000, b'{"a":' * 100_000,
     b"\xef\xbb\xbf", b"\xef\xbb" + CALL, b" \xef\xbb\xbf" + CALL, b"\xef\xbb\xbf" * 2 + CALL,
     b'{"id":1,"method":"\xff'],
)
def test_what_is_no_json_is_malformed(body: bytes) -> None:
    assert read_messages(body).malformed


@pytest.mark.parametrize("body", [CALL, b"[" + CALL + b"]", b" \r\n\t" + CALL + b"\n"])
def test_a_byte_order_mark_is_none_of_the_text(body: bytes) -> None:
    found = read_messages(b"\xef\xbb\xbf" + body)
    assert [kind for _, kind, _ in found.members] == ["request"] and not found.malformed


@pytest.mark.parametrize(
    ("body", "method"),
    [
        (rb'{"id":1,"method":"m\ud800","params":{"a":"\udfff"}}', "m\ufffd"),
        (rb'{"id":1,"method":"m\ud83d\ude00","params":"\ud800"}', "m\U0001f600"),
        (rb'{"id":1,"method":"m\\ud800","x":"\ud800"}', r"m\ud800"),
        (b'{"id":1,"method":"m\xff"}', "m\ufffd"),
        (rb'{"id":1,"method":"m\u0000"}', "m\0"),
        (b'{"id":1e400000,"method":"m","params":' + b"9" * 5000 + b"}", "m"),
        (b'{"jsonrpc":2.0,"id":1,"method":"m"}', "m"),
    ],
)
def test_poison_hides_nothing_else(body: bytes, method: str) -> None:
    ((message, kind, size),) = read_messages(body).members
    assert message.method == method and kind == "request" and size == len(body)


def test_a_batch_is_read_up_to_a_limit() -> None:
    found = read_messages(b"[" + b",".join([CALL] * (MAX_MEMBERS + 1)) + b"]")
    assert len(found.members) == MAX_MEMBERS and found.oversized


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200) | st.text("[]{},:\"\\u0d8e1-method id", max_size=60).map(str.encode))
def test_nothing_raises(body: bytes) -> None:
    read_messages(body)
    mended(body).decode()


def test_headers() -> None:
    found = index(((b"Mcp-Name", b"a"), (b"MCP-NAME", b"b"), (b"x", b"")))
    assert found == {b"mcp-name": b"a", b"x": b""}
    assert media_type(b"Text/Event-Stream ; charset=utf-8") == b"text/event-stream"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (b"us-west1", "us-west1"),
        (b"=?base64?SGVsbG8sIOS4lueVjA==?=", "Hello, 世界"),
        (b"=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?=", "=?base64?literal?="),
        (b"=?base64?!!?=", None),
        (b"=?base64?/w==?=", None),
        (b"=?base64??=", ""),
        (b"=?BASE64?SGk=?=", "=?BASE64?SGk=?="),
    ],
)
def test_mirrored_values(value: bytes, plain: str | None) -> None:
    assert mirrored(value) == plain
