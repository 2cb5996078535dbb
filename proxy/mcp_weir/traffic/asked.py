"""What an exchange remembers between a message and its answer. Values, so that no cycle is made."""

import msgspec

from mcp_weir.traffic.facts import Request
from mcp_weir.traffic.masking import head_secrets


class Passed(msgspec.Struct, gc=False):
    """Where and when a message passed. `sender` is client | server; `at_us` since the exchange opened."""

    exchange: int
    at_us: int
    sender: str
    size: int
    in_batch: bool = False


class Asked(msgspec.Struct, gc=False):
    """A request of this exchange, with what its answer will need. `mirrored` is what an Mcp-Name header repeats."""

    fact: Request
    token: bytes
    held: bytes | None
    mirrored: str | None
    progress: int = 0

    @property
    def special(self) -> bool:
        """Its answer says more than an outcome, whatever it holds."""
        return self.fact.method in ("initialize", "tasks/result")


class Said(msgspec.Struct, gc=False):
    """What the heads of an exchange said that no error message may repeat. A value, so that no cycle is made."""

    headers: dict[bytes, bytes]
    query: str
    session_id: bytes | None = None  # the response's Mcp-Session-Id

    def secrets(self) -> list[str]:
        """Looked for only where a message has to be masked."""
        named = [self.session_id.decode("latin-1")] if self.session_id else []
        return head_secrets(self.headers, self.query) + named


class Heard(msgspec.Struct, gc=False):
    """What the exchange knows when an answer passes."""

    asked: Asked | None
    said: Said
    progress: int
    refused: bool = False  # a JSON-RPC error that names no request, under a failing status
