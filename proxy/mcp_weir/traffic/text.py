"""Text that may rest: cleaned, bounded, hashed where it is too long or too secret. Pure."""

import re
from urllib.parse import urlsplit

import msgspec

from mcp_weir.traffic.reading import Reading
from mcp_weir.wire.lenient import Lenient

ID_LIMIT = 64
_UNSAFE = re.compile(r"[\0\ud800-\udfff]")  # raw: mypyc knows no surrogates
_NUMBER = re.compile(rb"-0|-?\d{1,16}(?:\.\d{1,32})?(?:[eE][+-]?\d{1,3})?")
_EXACT = 1 << 53  # beyond it a number is another one to peers that read JSON as JavaScript does
_string: Lenient[str] = Lenient(str)
_OPAQUE = {"data", "javascript", "blob", "mailto"}  # schemes whose path is content, not a place


def clean(text: object, limit: int = 256) -> str | None:
    """Text that Postgres can hold (no NUL, no surrogates), or None for what is no text."""
    if not isinstance(text, str):
        return None
    if not text.isascii() or "\0" in text:  # most names are plain: this look is a tenth of the substitution's cost
        text = _UNSAFE.sub("\ufffd", text)
    return text[:limit]


def json_id(reading: Reading, raw: msgspec.Raw) -> str:
    """An id's JSON form (`1` and `"1"` differ); over 64 characters, its keyed hash."""
    data = bytes(raw)
    if data.isdigit():  # a short number, which is what most clients count with
        return data.decode() if len(data) <= ID_LIMIT else "hash:" + reading.keys.digest("jsonrpc-id", data).hex()
    data = json_form(data)
    text = data.decode("utf-8", "replace")
    if len(text) > ID_LIMIT:
        return "hash:" + reading.keys.digest("jsonrpc-id", data).hex()
    return clean(text) or ""


def json_form(data: bytes) -> bytes:
    """A JSON string or number as a peer writes it that has read it: "\\u0061" is "a", and 1.0 and 1e0 are 1.

    Servers answer with an id of their own spelling, and it is the same id (JSON-RPC 2.0, 4: Number).
    """
    if data[:1] == b'"':
        text = _string.read(data) if b"\\" in data else None
        return data if text is None else msgspec.json.encode(text)
    return _integer(data) if _NUMBER.fullmatch(data) else data


def _integer(data: bytes) -> bytes:
    """Where a number that is written otherwise is an integer, that integer; -0 is 0."""
    value = float(data)
    return str(int(value)).encode() if abs(value) < _EXACT and value.is_integer() else data


def text_hash(reading: Reading, purpose: str, text: object) -> bytes | None:
    """Keyed hash of an opaque string (a task's id, a requestState); None for what is no string."""
    if not isinstance(text, str) or not text:
        return None
    return reading.keys.digest(purpose, text.encode("utf-8", "surrogatepass"))


def safe_uri(uri: object) -> str | None:
    """A resource's URI without user, query and fragment; of a `data:` URI only the scheme."""
    if not isinstance(uri, str):
        return None
    try:
        parts = urlsplit(uri)
    except ValueError:
        return clean(re.split(r"[?#]", uri, maxsplit=1)[0].rpartition("@")[2])
    if parts.scheme.lower() in _OPAQUE:
        return parts.scheme.lower() + ":"
    host = parts.netloc.rpartition("@")[2]
    return clean(parts._replace(netloc=host, query="", fragment="").geturl())


def tokens(size: int) -> int:
    """The estimate of every token column: ceil(bytes / 4)."""
    return -(-size // 4)
