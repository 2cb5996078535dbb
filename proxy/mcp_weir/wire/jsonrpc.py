"""JSON-RPC 2.0 messages from bytes; only the envelope is decoded. Never raises on input."""

import msgspec

from mcp_weir.wire.lenient import FAILED, Lenient
from mcp_weir.wire.message import EMPTY, Message, Messages

MAX_MEMBERS = 1000  # of a batch; a 4 MiB body of nothing but calls would be 200,000 rows
_SPACE = b" \t\r\n"
_BOM = b"\xef\xbb\xbf"  # a reader may ignore one (RFC 8259, 8.1), and JavaScript's and Python's do
_SPACE_OR_BOM = _SPACE + _BOM[:1]
NUMBER_OR_STRING = b'"-0123456789'


_one = Lenient(Message)
_decode_one = _one.decode
_many = Lenient(list[msgspec.Raw])


def read_messages(body: bytes) -> Messages:
    """The messages of a single body or of a batch; a bad member of a batch does not hide the others."""
    if body[:1] in _SPACE_OR_BOM:
        body = body.removeprefix(_BOM).lstrip(_SPACE)
    if body[:1] == b"[":
        return _batch(body)
    try:
        message: Message | None = _decode_one(body)  # the way of nearly all: one pass over the body and nothing else
    except FAILED:
        message = _one.mend(body)
    kind = message and _kind(message)
    return Messages([(message, kind, len(body))]) if message and kind else Messages([], malformed=True)


def _batch(body: bytes) -> Messages:
    parts = _many.read(body) or []
    found = Messages([], batch=True, malformed=not parts, oversized=len(parts) > MAX_MEMBERS)
    for part in parts[:MAX_MEMBERS]:
        message = _one.read(part)
        kind = message and _kind(message)
        if message and kind:
            found.members.append((message, kind, len(bytes(part))))
        else:
            found.malformed = True
    return found


def _kind(message: Message) -> str | None:
    """A request's id is a string or a number: null, which JSON-RPC knows too, names none."""
    if message.method:
        if message.id is EMPTY:
            return "notification"
        return "request" if bytes(message.id)[0] in NUMBER_OR_STRING else None
    return "response" if message.is_response else None
