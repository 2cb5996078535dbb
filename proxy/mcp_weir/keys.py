"""Keyed hashes: the only form in which session ids, tokens and arguments may rest."""

import hashlib
import hmac
import os
import uuid
from functools import lru_cache
from pathlib import Path

from mcp_weir.errors import UsageError

KEY_BYTES = 32


class Keys:
    """HMAC-SHA-256 under one installation secret; `purpose` separates domains."""

    def __init__(self, secret: bytes, service: str) -> None:
        self._secret = secret
        self._service = service.encode()
        self.key_id = hashlib.sha256(b"key-id\0" + secret).hexdigest()[:16]
        self.session_key = lru_cache(maxsize=65_536)(self._session_key)
        self.principal_key = lru_cache(maxsize=4_096)(self._principal_key)

    def digest(self, purpose: str, data: bytes) -> bytes:
        """16 bytes, the same on every worker and replica that holds the same key."""
        message = purpose.encode() + b"\0" + self._service + b"\0" + data
        return hmac.digest(self._secret, message, "sha256")[:16]

    def _session_key(self, session_id: bytes) -> uuid.UUID:
        value = bytearray(self.digest("session", session_id))
        value[6] = value[6] & 0x0F | 0x80  # version 8, RFC 9562; uuid.UUID(version=) knows 1 to 5 only
        value[8] = value[8] & 0x3F | 0x80
        return uuid.UUID(bytes=bytes(value))

    def _principal_key(self, credential: bytes) -> bytes:
        return self.digest("principal", credential)


def load_or_create(path: Path) -> bytes:
    """Read the key file, or make it (0600) on first start. Raises UsageError for a file that is no key."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        secret = path.read_bytes()
        if len(secret) != KEY_BYTES:
            raise UsageError(f"{path} is not an mcp-weir key ({KEY_BYTES} bytes); point WEIR_KEY_FILE at one") from None
        return secret
    with os.fdopen(handle, "wb") as file:
        secret = os.urandom(KEY_BYTES)
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    return secret
