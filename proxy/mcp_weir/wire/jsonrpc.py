"""JSON-RPC 2.0 messages from bytes; only the envelope is decoded. Never raises on input."""

import msgspec

from mcp_weir.wire.lenient import Lenient

MAX_MEMBERS = 1000  # of a batch; a 4 MiB body of nothing but calls would be 200,000 rows
_EMPTY = msgspec.Raw(b"")
_SPACE = b" \t\r\n"
_NUMBER_OR_STRING = b'"-0123456789'


class Message(msgspec.Struct, gc=False):  # gc=False: no cycles are possible, and the collector has less to walk
    """One message; absent members are empty. `id` keeps its JSON form: `1` and `"1"` differ."""

    jsonrpc: str = ""
    method: str = ""
    # Raw has to be the whole type of its field: then msgspec only looks for its end and copies nothing
    id: msgspec.Raw = _EMPTY
    params: msgspec.Raw = _EMPTY
    result: msgspec.Raw = _EMPTY
    error: msgspec.Raw = _EMPTY

    @property
    def is_request(self) -> bool:
        """Has a method and an id that is a string or a number; null, which JSON-RPC knows too, names no request."""
        first = bytes(self.id)[:1]
        return bool(self.method and first) and first in _NUMBER_OR_STRING

    @property
    def is_response(self) -> bool:
        """Has a result or an error object, no method, and says that it is JSON-RPC: error pages in JSON are about."""
        if self.method or self.jsonrpc != "2.0":
            return False
        return bytes(self.error)[:1] == b"{" or bool(bytes(self.result))

    @property
    def is_notification(self) -> bool:
        """Has a method and no id."""
        return bool(self.method) and not bytes(self.id)


class Messages(msgspec.Struct, gc=False):
    """What a body held: (message, its bytes), in order."""

    members: list[tuple[Message, int]]
    batch: bool = False
    malformed: bool = False  # not JSON, or a member that is no JSON-RPC
    oversized: bool = False  # more members than are read


_one = Lenient(Message)
_many = Lenient(list[msgspec.Raw])


def read_messages(body: bytes) -> Messages:
    """The messages of a single body or of a batch; a bad member of a batch does not hide the others."""
    if body[:1] in _SPACE:
        body = body.lstrip(_SPACE)
    if body[:1] == b"[":
        return _batch(body)
    message = _one.read(body)  # the way of nearly all: one pass over the body and nothing else
    if message is None or not _says(message):
        return Messages([], malformed=True)
    return Messages([(message, len(body))])


def _batch(body: bytes) -> Messages:
    parts = _many.read(body) or []
    found = Messages([], batch=True, malformed=not parts, oversized=len(parts) > MAX_MEMBERS)
    for part in parts[:MAX_MEMBERS]:
        message = _one.read(part)
        if message is None or not _says(message):
            found.malformed = True
        else:
            found.members.append((message, len(bytes(part))))
    return found


def _says(message: Message) -> bool:
    return message.is_request or message.is_response or message.is_notification
