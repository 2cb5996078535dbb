"""How to read traffic: keys, policies, limits. A value; decided once, by the composition root."""

import dataclasses
import uuid
from typing import Protocol

from mcp_weir.traffic.capture import Capture
from mcp_weir.traffic.principals import PrincipalRule


class KeyedHashes(Protocol):
    """What traffic needs of the keys room."""

    def digest(self, purpose: str, data: bytes) -> bytes: ...
    def session_key(self, session_id: bytes) -> uuid.UUID: ...
    def principal_key(self, credential: bytes) -> bytes: ...
    def __hash__(self) -> int: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """The reader's settings. `body_limit` in bytes: what is longer is forwarded and recorded as oversized.

    `handle_header` (lower case) and `handle_argument` name where a conversation is named that has no session id.
    """

    keys: KeyedHashes
    mcp_paths: tuple[str, ...] = ("/mcp", "/sse", "/messages/")
    body_limit: int = 4 << 20
    keep_session_ids: bool = False
    keep_principal: bool = False
    principal: PrincipalRule = PrincipalRule()
    capture: Capture = Capture()
    handle_header: bytes | None = None
    handle_argument: str | None = None
