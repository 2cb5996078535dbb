"""Content codings (RFC 9110 8.4.1, RFC 8878) decoded on a copy, bounded. Never raises on input."""

import zlib
from typing import Any, Protocol

import brotli
import zstandard

_CODINGS_MAX = 3
_ZSTD_WINDOW = 8 << 20  # RFC 9659: what a zstd content coding may ask for
_ZSTD_SLICE = 128  # 4 bytes of zstd may stand for 128 KiB: little at a time, so that a bomb is seen while it is small
_FAILED = (zlib.error, brotli.error, zstandard.ZstdError, MemoryError)


class _Stream(Protocol):
    def feed(self, data: bytes, limit: int) -> bytes | None:
        """What these bytes decode to; None when that is more than `limit` or the bytes are damaged (or it raises)."""

    @property
    def whole(self) -> bool:
        """The encoded stream is at an end."""


class Decoder:
    """Decodes a body that comes in pieces. After a failure it gives None for ever."""

    def __init__(self, coding: bytes, limit: int) -> None:
        names = [name.strip() for name in coding.lower().split(b",")]
        names = [name for name in names if name not in (b"", b"identity")]
        known = len(names) <= _CODINGS_MAX and all(name in _STREAMS for name in names)
        self._limit = limit
        self._streams: list[_Stream] | None = [_STREAMS[name]() for name in reversed(names)] if known else None

    def feed(self, data: bytes) -> bytes | None:
        """The next decoded bytes, at most `limit`; None when the coding is unknown, damaged, or a bomb."""
        for stream in self._streams or ():
            try:
                plain = stream.feed(data, self._limit)
            except _FAILED:
                plain = None
            if plain is None:
                self._streams = None
                break
            data = plain
        return None if self._streams is None else data

    @property
    def whole(self) -> bool:
        """Every coding has reached its end."""
        return self._streams is not None and all(stream.whole for stream in self._streams)


def decode(body: bytes, coding: bytes, limit: int) -> bytes | None:
    """The decoded body; None when a coding is unknown, the bytes are damaged or cut, or the result is over `limit`."""
    if not coding.strip() or coding.strip().lower() == b"identity":
        return body
    decoder = Decoder(coding, limit)
    plain = decoder.feed(body)
    return plain if plain is not None and decoder.whole else None


class _Zlib:
    """gzip (several members may follow each other) and deflate (which is zlib, or raw where peers got it wrong)."""

    def __init__(self, wbits: int) -> None:
        self._wbits = wbits
        self._stream: Any = None
        self.whole = True

    def feed(self, data: bytes, limit: int) -> bytes | None:
        out = b""
        while data:
            if self._stream is None:
                if self._wbits == 15 and data[0] & 0x0F != 8:
                    self._wbits = -15
                self._stream = zlib.decompressobj(self._wbits)
            out += self._stream.decompress(data, limit + 1 - len(out))
            if len(out) > limit:
                return None
            self.whole = self._stream.eof
            data = self._stream.unused_data if self.whole else b""
            if self.whole:
                self._stream = None
                if self._wbits != 31:
                    break
        return out


class _Brotli:
    def __init__(self) -> None:
        self._stream = brotli.Decompressor()

    @property
    def whole(self) -> bool:
        return bool(self._stream.is_finished())

    def feed(self, data: bytes, limit: int) -> bytes | None:
        out = bytes(self._stream.process(data, output_buffer_limit=limit + 1))
        while len(out) <= limit and not self._stream.can_accept_more_data():
            more = bytes(self._stream.process(b"", output_buffer_limit=limit + 1 - len(out)))
            if not more:
                break
            out += more
        return out if len(out) <= limit else None


class _Zstd:
    def __init__(self) -> None:
        self._made = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._stream: Any = None
        self.whole = True

    def feed(self, data: bytes, limit: int) -> bytes | None:
        parts: list[bytes] = []
        size = 0
        while data:
            if self._stream is None:
                self._stream = self._made.decompressobj()
            parts.append(self._stream.decompress(data[:_ZSTD_SLICE]))
            size += len(parts[-1])
            if size > limit:
                return None
            self.whole = bool(self._stream.eof)
            data = self._stream.unused_data + data[_ZSTD_SLICE:] if self.whole else data[_ZSTD_SLICE:]
            if self.whole:
                self._stream = None
        return b"".join(parts)


_STREAMS: dict[bytes, Any] = {
    b"gzip": lambda: _Zlib(31),
    b"x-gzip": lambda: _Zlib(31),
    b"deflate": lambda: _Zlib(15),
    b"br": _Brotli,
    b"zstd": _Zstd,
}
