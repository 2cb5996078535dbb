"""Error messages without what the request said: its own strings, its credentials, what looks like a secret. Pure.

Servers quote what they refuse, whole, escaped, or cut short (pydantic shows both ends of a long value). So besides
each whole string every piece of eight characters or more that the request held is masked.
"""

import itertools
import re

import msgspec

from mcp_weir.traffic.secrets import MASK, without_secrets
from mcp_weir.traffic.text import clean
from mcp_weir.wire.lenient import Lenient

MESSAGE_LIMIT = 300
HELD = 16 << 10  # bytes of params kept until the answer; the pieces of as many take 5 ms to look for
_LOOKED_AT = 1500  # masking only shortens what is long: the first 300 characters come from no further
_MASKS = re.compile(r"(?:\*\*\*)+")
_PIECE = 8
_SHORT = 4
_STRING = re.compile(rb'("(?:[^"\\]|\\.)*")(\s*:)?', re.DOTALL)
_NUMBER = re.compile(rb"(?<![\w.\"])-?\d{6,}(?:\.\d+)?")
_QUERY = re.compile(r"(\b[a-z][a-z0-9+.-]{0,20}://[^\s?#\"'<>]*)[?#][^\s\"'<>]*", re.IGNORECASE)
_SECRET_HEADERS = frozenset({
    b"authorization", b"proxy-authorization", b"cookie", b"mcp-session-id", b"last-event-id", b"x-api-key",
})
_KNOWN = re.compile(
    r"parse error|invalid request(?: parameters)?|method not found|invalid params|internal (?:server )?error"
    r"|invalid arguments|(?:unknown|missing|invalid) (?:tool|prompt|resource|cursor|session)"
    r"|(?:tool|prompt|resource|session|task) not found|(?:failed|error) executing tool|input validation error"
    r"|request (?:timed out|timeout|cancelled)|connection closed|user (?:rejected|declined|denied)(?: \w+ request)?"
    r"|mcp error -?\d+|access denied|unauthorized|forbidden|(?:elicitation|sampling|roots?) not supported",
    re.IGNORECASE,
)
_strings: Lenient[str] = Lenient(str)


def held(params: msgspec.Raw) -> bytes | None:
    """What is kept of a request for masking the error that may come; None: too long to keep, mask everything."""
    data = bytes(params)  # a copy: Raw would keep the whole body alive as long as the exchange
    return data if len(data) <= HELD else None


def head_secrets(headers: dict[bytes, bytes], query: str) -> list[str]:
    """What of a request's head no message may repeat."""
    said = [value for name, value in headers.items() if name in _SECRET_HEADERS or name.startswith(b"mcp-param-")]
    words = [word.decode("utf-8", "replace") for value in said for word in (value, *value.split(b" ")[1:])]
    words += [part.partition("=")[2] for part in query.split("&")]
    return [word for word in words if word]


def masked(message: object, params: bytes | None, spared: set[str | None], secrets: list[str]) -> str | None:
    """The message, at most 300 characters. `spared` is what is recorded anyway: a tool's name, a revision."""
    text = clean(message, _LOOKED_AT)
    if not text:
        return text
    if params is None:
        return _beginning(text)
    strings = {*_values(params), *secrets} - spared - {""}
    text = _QUERY.sub(rf"\1?{MASK}", text)
    text = _without(text, strings)
    text = _without_pieces(text, strings)
    return _MASKS.sub(MASK, without_secrets(text))[:MESSAGE_LIMIT]


def _beginning(text: str) -> str:
    """What is left of a message whose request is not at hand (HTTP+SSE answers on another exchange): known words."""
    found = _KNOWN.match(text)
    return MASK if found is None else found[0] if found[0] == text else f"{found[0]} {MASK}"


def _values(params: bytes) -> set[str]:
    # only values: keys are the schema's words, and a message without them says nothing
    found = {_strings.read(raw) or "" for raw, is_key in _STRING.findall(params) if not is_key}
    return found | {number.decode() for number in _NUMBER.findall(params)}


def _without(text: str, strings: set[str]) -> str:
    """Each string, as it is and as Python or JSON would quote it; the longest first, for one may hold another."""
    forms = {form for string in strings for form in _forms(string) if form in text}
    if not forms:
        return text
    parts = [
        rf"(?<!\w){re.escape(form)}(?!\w)" if len(form) < _SHORT else re.escape(form)  # "a" is in every word
        for form in sorted(forms, key=len, reverse=True)
    ]
    return re.sub("|".join(parts), MASK, text)


def _forms(string: str) -> set[str]:
    """As it is, and as Python or JSON quotes it."""
    shown = repr(string)[1:-1]
    forms = {string, shown, shown.replace("'", "\\'")}
    if string.isprintable() and '"' not in string and "\\" not in string:
        return forms
    try:
        return forms | {msgspec.json.encode(string).decode()[1:-1]}
    except UnicodeEncodeError:
        return forms


def _without_pieces(text: str, strings: set[str]) -> str:
    pieces: set[str] = set()
    for string in strings:
        for form in _forms(string):
            pieces.update(form[at : at + _PIECE] for at in range(len(form) - _PIECE + 1))
    if not pieces:
        return text
    hit = bytearray(len(text))
    for at in range(len(text) - _PIECE + 1):
        if text[at : at + _PIECE] in pieces:
            hit[at : at + _PIECE] = b"\1" * _PIECE
    runs = itertools.groupby(range(len(text)), hit.__getitem__)
    return "".join(MASK if on else "".join(text[at] for at in run) for on, run in runs)
