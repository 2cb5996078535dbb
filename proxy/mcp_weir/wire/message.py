"""JSON-RPC messages as values: what jsonrpc.py makes of bytes."""

import msgspec

EMPTY = msgspec.Raw(b"")  # an absent member; `is EMPTY` costs a fifth of looking into it


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
