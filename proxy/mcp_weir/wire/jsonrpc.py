"""JSON-RPC 2.0 messages from bytes; only the envelope is decoded. Never raises on input."""

import msgspec

from mcp_weir.wire.lenient import FAILED, Lenient

MAX_MEMBERS = 1000  # of a batch; a 4 MiB body of nothing but calls would be 200,000 rows
EMPTY = msgspec.Raw(b"")  # an absent member; `is EMPTY` costs a fifth of looking into it
_SPACE = b" \t\r\n"
_NUMBER_OR_STRING = b'"-0123456789'


class Message(msgspec.Struct, gc=False):  # gc=False: no cycles are possible, and the collector has less to walk
    """One message; absent members are empty. `id` keeps its JSON form: `1` and `"1"` differ."""

    jsonrpc: str = ""
    method: str = ""
    # Raw has to be the whole type of its field: then msgspec only looks for its end and copies nothing
    id: msgspec.Raw = EMPTY
    params: msgspec.Raw = EMPTY
    result: msgspec.Raw = EMPTY
    error: msgspec.Raw = EMPTY

    @property
    def is_response(self) -> bool:
        """Has a result or an error object, no method, and says that it is JSON-RPC: error pages in JSON are about."""
        if self.method or self.jsonrpc != "2.0":
            return False
        return self.result is not EMPTY or bytes(self.error)[:1] == b"{"


class Messages(msgspec.Struct, gc=False):
    """What a body held: (message, what it is, its bytes), in order. What it is: request | notification | response."""

    members: list[tuple[Message, str, int]]
    batch: bool = False
    malformed: bool = False  # not JSON, or a member that is no JSON-RPC
    oversized: bool = False  # more members than are read


_one = Lenient(Message)
_decode_one = _one.decode
_many = Lenient(list[msgspec.Raw])


def read_messages(body: bytes) -> Messages:
    """The messages of a single body or of a batch; a bad member of a batch does not hide the others."""
    if body[:1] in _SPACE:
        body = body.lstrip(_SPACE)
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
        return "request" if bytes(message.id)[0] in _NUMBER_OR_STRING else None
    return "response" if message.is_response else None
