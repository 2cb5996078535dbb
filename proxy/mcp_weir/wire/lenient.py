"""JSON to typed values without ever raising: what fits is read in one pass, what does not costs a second look.

A peer that sends a lone surrogate, bytes that are not UTF-8 or a field of the wrong type has still said the rest.
"""

import re
from typing import Any, Generic, TypeVar

import msgspec

_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
FAILED = (msgspec.MsgspecError, RecursionError, UnicodeError, ValueError)
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
T = TypeVar("T")


class Lenient(Generic[T]):
    """A decoder for one type. A struct's fields that do not fit take their defaults."""

    def __init__(self, kind: type[T]) -> None:
        self.decode = msgspec.json.Decoder(kind).decode
        """The strict half of read(), for a hot path that catches FAILED itself: it saves a call, 0.15 us."""
        self._kind = kind
        self._parts = self._field_decoders(kind)

    def read(self, raw: bytes | msgspec.Raw) -> T | None:
        """The value; None for what is no JSON (or no JSON of this kind)."""
        try:
            return self.decode(raw)
        except FAILED:
            return self.mend(bytes(raw))

    def mend(self, raw: bytes) -> T | None:
        """The other half: what the strict one refused."""
        text = mended(raw)
        try:
            return self.decode(text)
        except FAILED:
            return self._by_field(text) if self._parts else None

    def _by_field(self, text: bytes) -> T | None:
        try:
            found = _fields(text)
        except FAILED:
            return None
        fits: dict[str, Any] = {}
        for encoded, (name, decode) in self._parts.items():
            if encoded in found:
                try:
                    fits[name] = decode(found[encoded])
                except FAILED:
                    continue
        return self._kind(**fits)

    @staticmethod
    def _field_decoders(kind: type[Any]) -> dict[str, tuple[str, Any]]:
        if not isinstance(kind, type) or not issubclass(kind, msgspec.Struct):
            return {}
        return {f.encode_name: (f.name, msgspec.json.Decoder(f.type).decode) for f in msgspec.structs.fields(kind)}


def mended(raw: bytes) -> bytes:
    """The same JSON with lone surrogate escapes and bytes that are not UTF-8 replaced by U+FFFD.

    Escapes keep their length, so that sizes stay true.
    """
    if b"\\u" in raw:
        raw = _ESCAPE.sub(lambda found: rb"\ufffd" if found[1] else found[0], raw)
    return raw.decode("utf-8", "replace").encode()
