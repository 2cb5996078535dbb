"""What a parser or a Postgres may choke on: the JSONTestSuite, and JSON-RPC whose recorded fields are poisonous."""

import base64
import json
from pathlib import Path

_SUITE = Path(__file__).parent.parent / "corpus" / "json_test_suite.json"


def json_test_suite() -> dict[str, bytes]:
    """All 318 cases."""
    cases = {name: base64.b64decode(data) for name, data in json.loads(_SUITE.read_text())["cases"].items()}
    cases["n_structure_100000_opening_arrays.json"] = b"[" * 100_000
    cases["n_structure_open_array_object.json"] = b'[{"":' * 50_000 + b"\n"
    return cases


def _call(name: str = '"echo"', arguments: str = "{}", call_id: str = "1", method: str = '"tools/call"') -> bytes:
    body = f'{{"jsonrpc":"2.0","id":{call_id},"method":{method},"params":{{"name":{name},"arguments":{arguments}}}}}'
    return body.encode("utf-8", "surrogatepass")


_TEXTS = {
    "nul escaped": '"a\\u0000b"', "nul escaped alone": '"\\u0000"', "lone high surrogate": '"\\ud800"',
    "lone low surrogate": '"\\udc00x"', "swapped surrogates": '"\\udc00\\ud800"', "pair": '"\\ud83d\\ude00"',
    "controls": '"\\u0001\\u001b[2J"', "noncharacter": '"\\uffff\\ufffe"', "a megabyte": '"' + "x" * 1_000_000 + '"',
    "bidi": '"\\u202e\\u2066"', "surrogate in UTF-8": '"\ud800"', "nul raw": '"a\0b"', "empty": '""',
}
_VALUES = {
    "huge exponent": '{"n":1e400000}', "tiny exponent": '{"n":1e-400000}', "long integer": '{"n":' + "9" * 5000 + "}",
    "nul in a key": '{"\\u0000":1}', "lone surrogate in a key": '{"\\ud800":1}', "deep": "[" * 100_000 + "]" * 100_000,
    "deep objects": '{"a":' * 5_000 + "1" + "}" * 5_000, "equal keys": '{"a":1,"a":2,"a":3}',
    "nul in a value": '{"a":"\\u0000"}', "surrogate in a value": '{"a":["\\udfff"]}', "negative zero": '{"n":-0.0}',
    "many keys": "{" + ",".join(f'"k{n}":{n}' for n in range(20_000)) + "}", "not an object": "7",
}
_IDS = {
    "id of a megabyte": '"' + "i" * 1_000_000 + '"', "id with nul": '"\\u0000"', "id object": '{"a":1}',
    "id float": "1.5",
    "id huge": "9" * 400, "id exponent": "1e400", "id surrogate": '"\\ud800"', "id true": "true", "id array": "[1]",
}


def postgres_poisons() -> dict[str, bytes]:
    """JSON-RPC requests whose recorded fields (id, method, tool, arguments, client) Postgres may refuse."""
    cases = {f"tool {name}": _call(name=text) for name, text in _TEXTS.items()}
    cases |= {f"method {name}": _call(method=text) for name, text in _TEXTS.items()}
    cases |= {f"arguments {name}": _call(arguments=text) for name, text in _VALUES.items()}
    cases |= {name: _call(call_id=text) for name, text in _IDS.items()}
    for name, text in _TEXTS.items():
        who = f'{{"name":{text},"version":{text}}}'
        params = f'{{"protocolVersion":{text},"capabilities":{{"x":{text}}},"clientInfo":{who}}}'
        body = f'{{"jsonrpc":"2.0","id":1,"method":"initialize","params":{params}}}'
        cases[f"client {name}"] = body.encode("utf-8", "surrogatepass")
    return cases


def answer_poisons() -> dict[str, bytes]:
    """JSON-RPC answers to id 1 whose recorded fields Postgres may refuse."""
    cases = {}
    for name, text in _TEXTS.items():
        cases[f"error message {name}"] = f'{{"jsonrpc":"2.0","id":1,"error":{{"code":-32000,"message":{text}}}}}'
        cases[f"result {name}"] = f'{{"jsonrpc":"2.0","id":1,"result":{{"content":[{{"type":"text","text":{text}}}]}}}}'
    for code in ("1e400", "9" * 30, "-" + "9" * 30, "1.5", '"x"', "null", "9223372036854775808"):
        cases[f"error code {code[:8]}"] = f'{{"jsonrpc":"2.0","id":1,"error":{{"code":{code},"message":"m"}}}}'
    return {name: body.encode("utf-8", "surrogatepass") for name, body in cases.items()}
