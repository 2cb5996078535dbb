"""clientInfo and serverInfo with their capabilities. Pure."""

from functools import lru_cache

import msgspec

from mcp_weir.traffic.capture import Capture
from mcp_weir.traffic.facts import Identity
from mcp_weir.traffic.text import clean
from mcp_weir.wire.lenient import Lenient

_CAPABILITIES_LIMIT = 8192


class _Info(msgspec.Struct):
    name: str | None = None
    version: str | None = None


class _NoKeys:
    def digest(self, purpose: str, data: bytes) -> bytes:
        return b""


_info = Lenient(_Info)
_whole = Capture(default="full")
_no_keys = _NoKeys()


def identity_of(info: msgspec.Raw, capabilities: msgspec.Raw) -> Identity | None:
    """The identity; None where there is no object. Modern clients say it with every request, hence the cache."""
    said, able = bytes(info), bytes(capabilities)
    if said[:1] != b"{" or len(said) > _CAPABILITIES_LIMIT:
        return None
    return _identity(said, able if 2 < len(able) <= _CAPABILITIES_LIMIT and able[:1] == b"{" else b"")


@lru_cache(maxsize=512)
def _identity(info: bytes, capabilities: bytes) -> Identity:
    found = _info.read(info) or _Info()
    text = _whole.take(_no_keys, None, msgspec.Raw(capabilities)) if capabilities else None
    return Identity(name=clean(found.name), version=clean(found.version, 64), capabilities=text)
