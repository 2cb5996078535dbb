"""JSON-RPC 2.0 messages from bytes; only the envelope is decoded. Never raises on input."""

import dataclasses

import msgspec

_EMPTY = msgspec.Raw(b"")


class Message(msgspec.Struct):
    """One message; absent members are empty. `id` keeps its JSON form: `1` and `"1"` differ."""

    method: str = ""
    id: msgspec.Raw = _EMPTY
    params: msgspec.Raw = _EMPTY
    result: msgspec.Raw = _EMPTY
    error: msgspec.Raw = _EMPTY

    @property
    def is_request(self) -> bool:
        """Has a method and an id."""
        return bool(self.method) and bool(bytes(self.id)) and bytes(self.id) != b"null"

    @property
    def is_response(self) -> bool:
        """Has a result or an error, and no method."""
        return not self.method and bool(bytes(self.result) or bytes(self.error))


@dataclasses.dataclass(frozen=True, slots=True)
class Malformed:
    """Not JSON, or not JSON-RPC."""


_one = msgspec.json.Decoder(Message)
_many = msgspec.json.Decoder(list[msgspec.Raw])


def read_messages(body: bytes) -> list[tuple[Message, int]] | Malformed:
    """(message, its bytes) of a single message or of a batch, in order."""
    try:
        text = body.lstrip()
        if text[:1] != b"[":
            return [(_one.decode(body), len(body))]
        return [(_one.decode(raw), len(bytes(raw))) for raw in _many.decode(body)]
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        return Malformed()
