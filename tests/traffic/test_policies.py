"""What may rest: capture by tool and path, principals, handles, masked messages. And that nothing else does."""

import base64
import json
import random
import time
import uuid

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_weir.app.reading import reading
from mcp_weir.config import Settings, load
from mcp_weir.errors import UsageError
from mcp_weir.keys import Keys
from mcp_weir.traffic import principals
from mcp_weir.traffic.capture import TEXT_LIMIT, Capture
from mcp_weir.traffic.facts import Answer, Fact, Opened, Request
from mcp_weir.traffic.masking import masked
from mcp_weir.traffic.principals import PrincipalRule, subject_key
from mcp_weir.traffic.reading import Reading
from mcp_weir.traffic.secrets import is_secret_key, without_secrets
from traffic.replay import Headers, Http, feed

KEYS = Keys(b"k" * 32, "s")
DEEP = {"password": "p", "n": [1, 2.5, None, True]}
SAID = {"user": "bob", "api_key": "k-123", "deep": DEEP, "note": "Bearer abcdefghij"}


def take(document: object, default: str = "off", rules: tuple[str, ...] = (), redact: tuple[str, ...] = (),
         tool: str | None = "login") -> object:
    text = Capture.parse(default, rules, redact).take(KEYS, tool, msgspec.Raw(json.dumps(document).encode()))
    return None if text is None else json.loads(text)


def test_the_policies() -> None:
    assert take(SAID) is None
    assert take(SAID, "keys") == {
        "user": "string", "api_key": "string", "deep": {"password": "string", "n": ["number"]}, "note": "string",
    }
    assert take(SAID, "full") == SAID
    assert take(SAID, "full", redact=("USER",)) == {**SAID, "user": "***"}
    assert take(SAID, "redacted", redact=("user",)) == {
        "user": "***", "api_key": "***", "deep": {"password": "***", "n": [1, 2.5, None, True]}, "note": "***",
    }
    hashed = take(SAID, "hashed")
    assert isinstance(hashed, dict) and hashed["user"] == take({"x": "bob"}, "hashed")["x"] != hashed["api_key"]  # type: ignore[index]
    assert hashed["user"].startswith("hash:") and "bob" not in json.dumps(hashed)


def test_rules_by_tool_and_path() -> None:
    assert take(SAID, "full", ("login=off",)) is None
    assert take(SAID, "off", ("login:$.user=full",)) == {"user": "bob"}
    assert take(SAID, "off", ("log*:$.deep.n[*]=full",)) == {"deep": {"n": [1, 2.5, None, True]}}
    both = ("login:$['user']=full", "login:$.deep.n[1]=keys")
    assert take(SAID, "off", both) == {"user": "bob", "deep": {"n": ["number"]}}
    assert take(SAID, "off", ("other=full",)) is None
    assert take(SAID, "full", ("login:$.deep=off", "login=keys")) == {
        "user": "string", "api_key": "string", "note": "string",
    }
    assert take(SAID, "off", ("*=full",), tool=None) == SAID
    assert take(SAID, "full", ("login=off",), tool=None) is None  # the answer may be login's


@pytest.mark.parametrize("rule", ["login", "login=all", "=full", "login:$x=full", "login:$.a[=full", "login:$..a=full"])
def test_a_rule_that_cannot_be_read_is_said_so(rule: str) -> None:
    with pytest.raises(UsageError, match="capture-rule"):
        reading(load({"capture_rule": (rule,)}, None, {}), KEYS, "/mcp")


@pytest.mark.parametrize(
    "raw",
    [rb'{"a\u0000":"\u0000"}', rb'{"a":"\ud800"}', b'{"a":1e400000}', b'{"a":' + b"9" * 5000 + b"}", b'{"a":"\xff"}',
     b'{"a":' + b"[" * 900 + b"]" * 900 + b"}", b"[" * 100_000, b'{"a":"' + b"x" * 9_000_000 + b'"}', b"[]" * 3, b"",
     b"[" + b",".join([b'"' + b"y" * 1000 + b'"'] * 900) + b"]", b"123456789012345678901234567890", b"-0.0"],
    ids=range(13),
)
def test_captured_text_is_what_jsonb_takes(raw: bytes) -> None:
    for policy in ("keys", "hashed", "redacted", "full"):
        text = Capture.parse(policy, (), ()).take(KEYS, "t", msgspec.Raw(raw))
        if text is not None:
            json.loads(text, parse_constant=pytest.fail)
            assert "\0" not in text and r"\u0000" not in text and r"\ud8" not in text and len(text) <= TEXT_LIMIT
            assert text.count("[") < 60


def test_a_tasks_result_is_of_a_tool_unknown() -> None:
    body = b'{"jsonrpc":"2.0","id":1,"method":"tasks/result","params":{"taskId":"t"}}'
    answer = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"text":"canary"}]}}'
    for rules, kept in ((("login=off",), False), ((), True)):
        how = Reading(KEYS, capture=Capture.parse("full", rules, ()))
        facts = feed(how, 1, http(body, (), answer), 99, random.Random(0))
        assert (b"canary" in msgspec.json.encode(facts)) is kept


def jwt(**claims: object) -> bytes:
    def part(value: object) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    return b"Bearer " + b".".join([part({"alg": "none"}), part(claims), b"c2ln"])


def opened(rule: str, *headers: tuple[bytes, bytes], **more: object) -> Opened:
    how = Reading(KEYS, principal=PrincipalRule.parse(rule), keep_principal=True, **more)  # type: ignore[arg-type]
    fact = feed(how, 1, http(b"", headers), 1 << 20, random.Random(0))[0]
    assert isinstance(fact, Opened)
    return fact


def http(body: bytes, headers: Headers = (), answer: bytes = b"{}", status: int = 200, query: str = "") -> Http:
    got = ((b"Content-Type", b"application/json"), (b"Mcp-Session-Id", b"canary-assigned"))
    return Http("POST", "/mcp" + query, headers, body, status, got, answer)


def test_principals() -> None:
    auth, alice = b"Authorization", jwt(sub="alice", iss="https://i", email="a@b")
    found = opened("auto", (auth, alice))
    assert (found.principal, found.principal_key) == ("alice", subject_key(KEYS, "alice", "https://i"))
    assert opened("auto", (auth, jwt(sub="alice", iss="https://j"))).principal_key != found.principal_key
    assert opened("auto", (auth, jwt(sub="alice", iss="https://i", jti="2"))).principal_key == found.principal_key
    assert opened("jwt:email", (auth, alice)).principal == "a@b"
    hashed = opened("authorization", (auth, alice))
    assert hashed.principal is None and hashed.principal_key == KEYS.principal_key(alice)
    for credential in (b"Bearer opaque", b"Basic Ym9iOng=", b"Bearer a.b.c", b"Bearer a.!.c", jwt(sub=""), jwt(x=1)):
        assert opened("auto", (auth, credential)).principal_key == KEYS.principal_key(credential)
    assert opened("header:X-User", (b"x-user", b"carol"), (auth, alice)).principal == "carol"
    assert opened("header:X-User", (auth, alice)).principal_key is None
    assert opened("none", (auth, alice)).principal_key is None
    assert opened("auto").principal_key is None


def test_credentials_are_remembered_up_to_a_size() -> None:
    auth, long = b"Authorization", jwt(sub="alice", iss="https://i", more="x" * 6_000)
    before = principals._known.cache_info()
    for _ in range(2):
        assert opened("auto", (auth, long)).principal == "alice"
        assert opened("auto", (auth, jwt(sub="zoe"))).principal == "zoe"
    after = principals._known.cache_info()
    assert (after.hits - before.hits, after.misses - before.misses) == (1, 1)
    for rule in ("jwt", "jwt:", "header:", "auto:x", "sub", ""):
        with pytest.raises(ValueError, match="none of"):
            PrincipalRule.parse(rule)


def test_handles_name_conversations() -> None:
    said = load({"session_handle": "header:X-Conversation"}, None, {})
    fact = feed(reading(said, KEYS, "/mcp"), 1, http(b"", ((b"x-conversation", b"c1"),)), 99, random.Random(0))[0]
    assert isinstance(fact, Opened) and fact.handle == KEYS.digest("handle", b"c1")
    how = reading(load({"session_handle": "argument:session"}, None, {}), KEYS, "/mcp")
    for value, handle in (('"c1"', b"c1"), ('"\\u0063\\u0031"', b"c1"), ("7", b"7"), ("null", None), ("{}", None)):
        facts = feed(how, 1, http(call('{"session":' + value + "}")), 99, random.Random(0))
        (asked,) = [fact for fact in facts if isinstance(fact, Request)]
        assert asked.handle == (handle and KEYS.digest("handle", handle))
    with pytest.raises(UsageError, match="header:NAME or argument:NAME"):
        reading(Settings(session_handle="cookie"), KEYS, "/mcp")


def call(arguments: str, name: str = "login") -> bytes:
    params = f'{{"name":"{name}","arguments":{arguments},"_meta":{{"progressToken":"canary-token"}}}}'
    return f'{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{params}}}'.encode()


@pytest.mark.parametrize(
    ("message", "kept"),
    [
        ("no user bob smith here", "no user *** here"),
        ("x is not an option, max is", "*** is not an option, max is"),  # short strings: as whole words only
        ("bad 'it\\'s \\n multi' given", "bad '***' given"),
        ('bad "it\'s \\n multi" given', 'bad "***" given'),
        ("input_value='the quick br...over the lazy dog'", "input_value='***...***'"),
        ("card 4111111111111111 refused", "card *** refused"),
        ("login failed for login", "login failed for login"),
        ("see https://h/p?token=abc#d and more", "see https://h/p?*** and more"),
        ("Authorization: Bearer abcdef123456", "Authorization: ***"),
        ("y" * 1000, "y" * 300),
        ("nul \0 \ud800", "nul \ufffd \ufffd"),
        (7, None),
    ],
)
def test_messages_lose_what_the_request_said(message: object, kept: str | None) -> None:
    params = json.dumps({"name": "login", "arguments": {
        "a": "bob", "b": ["bob smith", {"c": "x"}], "d": "it's \n multi", "e": 4111111111111111, "name": "login",
        "f": "the quick brown fox jumps over the lazy dog"}}).encode()
    assert masked(message, params, {"login"}, []) == kept


def test_secrets_are_known_by_name_and_by_shape() -> None:
    for name in ("password", "API-Key", "apiKey", "access_token", "Authorization", "clientSecret", "PIN", "sessionId"):
        assert is_secret_key(name), name
    for name in ("user", "max_tokens", "author", "pinned", "keyboard", "tokenizer", "passenger"):
        assert not is_secret_key(name), name
    for text in ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc", "Bearer abcdef1234", "sk-ant-REDACTED_NOT",
                 "AKIAIOSFODNN7EXAMPLE", "ghp_abcdefghijklmnopqrstuvwx", "password=hunter22", '{"token": "abc"}'):
        assert "***" in without_secrets(f"x {text} y"), text
    assert without_secrets("postgres://u:pw@h/d") == "postgres://***@h/d"
    assert without_secrets("the tokens of a language model") == "the tokens of a language model"


HOSTILE = ["token", "eyJ", "sk-", "a.", "://", "://u:", "bearer ", "password=", "\\'", "x", "-----BEGIN "]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_costs_what_it_weighs(piece: str) -> None:
    text = piece * (32_768 // len(piece))
    began = time.process_time()
    without_secrets(text)
    masked(text, json.dumps({"a": text[:15_000]}).encode(), set(), [text[:9]])
    assert time.process_time() - began < 1.0


CANARY = st.text("abcdefghijklmnop0123456789", min_size=8, max_size=20).map(lambda text: "canary" + text)
PLACES = ["header", "session", "cookie", "event", "param", "query", "argument", "nested", "uri", "result", "error",
          "data", "state", "input", "notification", "tool_error"]


@settings(max_examples=150, deadline=None)
@given(CANARY, st.sampled_from(PLACES), st.sampled_from(["HTTP", "SSE"]), st.booleans())
def test_no_canary_rests_at_default_settings(canary: str, place: str, kind: str, elsewhere: bool) -> None:
    facts = _with_canary(canary, place, kind, elsewhere)
    assert canary.encode() not in msgspec.json.encode(facts)


def _with_canary(canary: str, place: str, kind: str, elsewhere: bool) -> list[Fact]:
    def at(*places: str) -> str:
        return canary if place in places else "plain"

    headers = (
        (b"Authorization", f"Bearer {at('header')}".encode()), (b"Mcp-Session-Id", at("session").encode()),
        (b"Cookie", f"a={at('cookie')}".encode()), (b"Last-Event-ID", at("event").encode()),
        (b"Mcp-Param-Secret", at("param").encode()),
    )
    arguments = {"a": at("argument"), "b": [{"c": at("nested")}]}
    params = {"name": "t", "arguments": arguments, "uri": f"http://{at('uri')}@h/p?q={at('uri')}#{at('uri')}",
              "requestState": at("state"), "inputResponses": {"k": {"content": at("input")}}}
    method = "resources/read" if place == "uri" else "tools/call"
    asked = [{"jsonrpc": "2.0", "id": 1, "method": method, "params": params},
             {"jsonrpc": "2.0", "method": "notifications/message", "params": {"data": at("notification")}}]
    error = {"code": 1, "message": f"echo: {canary} and more", "data": at("data")}
    result = {"content": [{"type": "text", "text": canary}], "isError": place == "tool_error", "requestState": canary}
    body = {"error": error} if place not in ("result", "tool_error") else {"result": result}
    answer = json.dumps({"jsonrpc": "2.0", "id": 2 if elsewhere else 1, **body}).encode()
    got = ((b"Content-Type", b"application/json"), (b"Mcp-Session-Id", canary.encode()))
    if kind == "SSE":
        got = ((b"Content-Type", b"text/event-stream"), (b"Mcp-Session-Id", canary.encode()))
        answer = b"id: " + canary.encode() + b"\ndata: " + answer + b"\n\n"
    target = f"/mcp?session_id={at('query')}&x={at('query')}"
    sent = Http("POST", target, headers, json.dumps(asked).encode(), 200, got, answer)
    if place == "error" and not elsewhere:  # an error may only be told without what the request or a head held
        asked[0]["params"]["arguments"]["a"] = canary
        sent = Http("POST", "/mcp", headers, json.dumps(asked).encode(), 200, got, answer)
    return feed(Reading(KEYS), 1, sent, 1 << 20, random.Random(0))


def test_a_canary_is_seen_where_it_is_asked_for() -> None:
    """The property above can fail: the same facts hold the canary under --capture full."""
    how = Reading(KEYS, capture=Capture.parse("full", (), ()), keep_session_ids=True)
    answer = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"canary-r"}]}}'
    sent = http(call('{"a":"canary-a"}'), ((b"mcp-session-id", b"canary-s"),), answer)
    facts = feed(how, 1, sent, 99, random.Random(0))
    said = msgspec.json.encode(facts)
    assert all(word in said for word in (b"canary-r", b"canary-a", b"canary-s"))
    (found,) = [fact for fact in facts if isinstance(fact, Answer)]
    assert found.result == '{"content":[{"type":"text","text":"canary-r"}]}'
    assert isinstance(KEYS.session_key(b"canary-s"), uuid.UUID)
