"""Header forms: case-insensitive look-up, media types, values that MCP mirrors from a body. Never raises on input."""

import base64
import binascii
from functools import lru_cache

Headers = tuple[tuple[bytes, bytes], ...]


def index(headers: Headers) -> dict[bytes, bytes]:
    """Values by lower-case name, made once for an exchange; of several fields of one name the first counts."""
    return {name.lower(): value for name, value in reversed(headers)}


@lru_cache(maxsize=512)  # the same few values for ever; a caller cuts what strangers may make long
def media_type(value: bytes) -> bytes:
    """`text/event-stream` of `Text/Event-Stream; charset=utf-8`."""
    return value.partition(b";")[0].strip().lower()


def mirrored(value: bytes) -> str | None:
    """Mcp-Name or Mcp-Param-*: plain, or `=?base64?...?=` (2026-07-28, Streamable HTTP, Value Encoding).

    None for a damaged encoding.
    """
    if value.startswith(b"=?base64?") and value.endswith(b"?=") and len(value) >= 11:
        try:
            return base64.b64decode(value[9:-2], validate=True).decode()
        except (binascii.Error, ValueError):
            return None
    return value.decode("utf-8", "replace")
