"""The form of a segment file: a header line, then lines of checksum, space, JSON, newline."""

import uuid
import zlib

import msgspec

FORMAT = 1
SUFFIX = ".seg"


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


def seal(payload: bytes) -> bytes:
    """One line: 8 hex digits of CRC-32, a space, the payload, a newline. The payload holds no newline."""
    return b"%08x %b\n" % (zlib.crc32(payload), payload)


def unseal(line: bytes) -> bytes | None:
    """The payload of a line without its newline; None when the checksum does not agree."""
    if len(line) < 10 or line[8:9] != b" ":
        return None
    payload = line[9:]
    return payload if b"%08x" % zlib.crc32(payload) == line[:8] else None
