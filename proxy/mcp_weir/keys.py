"""Keyed hashes: the only form in which session ids, tokens and arguments may rest.

The key file holds one key a line, 64 hexadecimal digits; the first makes new hashes, the others only find old ones
(look-up and erasure). Rotation: put a new line on top, restart; drop the old line once what it hashed is gone. A file
of exactly 32 raw bytes is one key, as a Kubernetes secret may hold it.
"""

import errno
import hashlib
import os
import tempfile
import time
import uuid
from functools import lru_cache
from pathlib import Path

from mcp_weir.errors import UsageError

KEY_BYTES = 32
_WAIT_S = 2.0
_CACHED_MAX = 256  # bytes of an id or a credential


class Keys:
    """HMAC-SHA-256 under one installation secret; `purpose` separates domains."""

    def __init__(self, secret: bytes, service: str) -> None:
        self._service = service.encode()
        self.key_id = key_id(secret)
        # the same few sessions and principals come again and again: a look-up is 0.1 us, an HMAC 2 us
        self._known_session = lru_cache(maxsize=65_536)(self._session_key)
        self._known_principal = lru_cache(maxsize=4_096)(self._principal_key)
        # HMAC (RFC 2104) with both padded keys hashed once: 0.8 us a hash where hmac.digest needs 2.1 us
        padded = secret.ljust(64, b"\0")
        self._inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
        self._outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
        self._begun: dict[str, hashlib._Hash] = {}

    def digest(self, purpose: str, data: bytes) -> bytes:
        """16 bytes, the same on every worker and replica that holds the same key."""
        begun = self._begun.get(purpose)
        if begun is None:
            begun = self._begun[purpose] = self._inner.copy()
            begun.update(purpose.encode() + b"\0" + self._service + b"\0")
        inner, outer = begun.copy(), self._outer.copy()
        inner.update(data)
        outer.update(inner.digest())
        return outer.digest()[:16]

    def session_key(self, session_id: bytes) -> uuid.UUID:
        """The key of a transport session. What is long is hashed anew: a stranger chooses it, and a cache keeps it."""
        return self._known_session(session_id) if len(session_id) <= _CACHED_MAX else self._session_key(session_id)

    def principal_key(self, credential: bytes) -> bytes:
        """The key of a principal."""
        return self._known_principal(credential) if len(credential) <= _CACHED_MAX else self._principal_key(credential)

    def _session_key(self, session_id: bytes) -> uuid.UUID:
        value = bytearray(self.digest("session", session_id))
        value[6] = value[6] & 0x0F | 0x80  # version 8, RFC 9562; uuid.UUID(version=) knows 1 to 5 only
        value[8] = value[8] & 0x3F | 0x80
        return uuid.UUID(bytes=bytes(value))

    def _principal_key(self, credential: bytes) -> bytes:
        return self.digest("principal", credential)


def key_id(secret: bytes) -> str:
    """The name under which rows say which key hashed them; tells nothing of the key."""
    return hashlib.sha256(b"key-id\0" + secret).hexdigest()[:16]


def load_or_create(path: Path) -> bytes:
    """The current key of the file, which is made (0600) on first start. Raises UsageError for a file that is no key."""
    return load_all(path)[0]


def load_all(path: Path) -> tuple[bytes, ...]:
    """Every key of the file, the current one first; the file is made (0600) if it is not there. Raises UsageError."""
    try:
        return _parse(path, path.read_bytes())
    except FileNotFoundError:
        return (_create(path),)
    except OSError as error:
        raise UsageError(f"cannot read the key file {path}: {error.strerror}; check its owner") from None


def _parse(path: Path, held: bytes) -> tuple[bytes, ...]:
    if len(held) == KEY_BYTES:
        return (held,)
    try:
        keys = tuple(bytes.fromhex(line.strip().decode("ascii")) for line in held.splitlines() if line.strip())
    except ValueError:
        keys = ()
    if not keys or any(len(key) != KEY_BYTES for key in keys):
        raise UsageError(
            f"{path} is not an mcp-weir key file (a line of {2 * KEY_BYTES} hexadecimal digits for each key);"
            " point --key-file at one"
        )
    return keys


def _create(path: Path) -> bytes:
    """Make the file whole and then name it: of several workers that start at once, one wins and all read its key."""
    secret = os.urandom(KEY_BYTES)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, hidden = tempfile.mkstemp(prefix=".key-", dir=path.parent)  # mkstemp: 0600
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(secret.hex().encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
            _name(Path(hidden), path)
            _sync(path.parent)
        finally:
            os.unlink(hidden)
    except FileExistsError:
        return _parse(path, path.read_bytes())[0]
    except OSError as error:
        raise UsageError(f"cannot make the key file {path}: {error.strerror}; check its directory") from None
    return secret


def _name(hidden: Path, path: Path) -> None:
    """Give the finished file its name, never over another's. link(2) does both at once; some file systems lack it."""
    try:
        os.link(hidden, path)
        return
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS):
            raise
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        _await_whole(path)
        raise
    with os.fdopen(handle, "wb") as file:
        file.write(hidden.read_bytes())
        file.flush()
        os.fsync(file.fileno())


def _await_whole(path: Path) -> None:
    deadline = time.monotonic() + _WAIT_S
    while path.stat().st_size < KEY_BYTES and time.monotonic() < deadline:
        time.sleep(0.01)


def _sync(directory: Path) -> None:
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
