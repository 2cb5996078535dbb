"""The form of a segment file: a header line, then lines of checksum, space, JSON, newline."""

import binascii
import uuid
import zlib
from pathlib import Path

import msgspec

FORMAT = 1
SUFFIX = ".seg"
_ASKED = "rotate"


class SegmentHeader(msgspec.Struct, frozen=True, kw_only=True):
    """The first line of a segment."""

    format: int
    segment: uuid.UUID
    stream: uuid.UUID
    number: int
    service: str
    instance: str
    key_id: str
    host_boot: str
    started_us: int


def ask_to_rotate(root: Path) -> None:
    """Have every writer of this spool begin a new segment within a second or two: the old ones can then go."""
    if root.is_dir():
        (root / _ASKED).touch()


def asked_to_rotate(root: Path) -> int:
    """Changes whenever it is asked."""
    try:
        return (root / _ASKED).stat().st_mtime_ns
    except OSError:
        return 0


def seal(payload: bytes) -> bytes:
    """One line: 8 hex digits of CRC-32, a space, the payload, a newline. The payload holds no newline."""
    return b"%08x %b\n" % (zlib.crc32(payload), payload)


def unseal(line: bytes) -> bytes | None:
    """The payload of a line without its newline; None when the checksum does not agree."""
    if len(line) < 10 or line[8:9] != b" ":
        return None
    payload = line[9:]
    try:
        return payload if zlib.crc32(payload).to_bytes(4, "big") == binascii.unhexlify(line[:8]) else None
    except binascii.Error:
        return None
