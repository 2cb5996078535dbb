"""Content codings decoded on a copy, bounded. Never raises on input."""

import zlib
from typing import Any

import brotli
import zstandard


def decode(body: bytes, coding: str, limit: int) -> bytes | None:
    """The decoded body; None when the coding is unknown, the bytes are damaged, or the result is over `limit`."""
    try:
        match coding.strip().lower():
            case "" | "identity":
                return body
            case "gzip" | "x-gzip":
                return _inflate(zlib.decompressobj(31), body, limit)
            case "deflate":
                return _inflate(zlib.decompressobj(15 if body[:1] == b"x" else -15), body, limit)
            case "br":
                plain = bytes(brotli.decompress(body))
                return plain if len(plain) <= limit else None
            case "zstd":
                return bytes(zstandard.ZstdDecompressor().decompress(body, max_output_size=limit))
            case _:
                return None
    except (zlib.error, brotli.error, zstandard.ZstdError, MemoryError):
        return None


def _inflate(stream: Any, body: bytes, limit: int) -> bytes | None:
    plain: bytes = stream.decompress(body, limit)
    return None if stream.unconsumed_tail or not stream.eof else plain
