"""How to read traffic: keys, capture policy, limits. A value; decided once, by the composition root."""

import dataclasses
import uuid
from typing import Protocol


class KeyedHashes(Protocol):
    """What traffic needs of the keys room."""

    def digest(self, purpose: str, data: bytes) -> bytes: ...
    def session_key(self, session_id: bytes) -> uuid.UUID: ...
    def principal_key(self, credential: bytes) -> bytes: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Reading:
    """The reader's settings. `body_limit` in bytes: what is longer is forwarded and recorded as oversized."""

    keys: KeyedHashes
    mcp_paths: tuple[str, ...] = ("/mcp", "/sse", "/messages/")
    body_limit: int = 4 << 20
    keep_session_ids: bool = False
