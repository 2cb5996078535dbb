"""What tools/list showed: each tool by the hash of its definition. Pure, but for a cache of what was shown before."""

import hashlib
from collections import OrderedDict
from typing import Any, cast

import msgspec

from mcp_weir.traffic.facts import ToolShown
from mcp_weir.traffic.reading import KeyedHashes
from mcp_weir.traffic.text import clean, tokens
from mcp_weir.wire.lenient import Lenient

_TOOLS_MAX = 1000
_PAGES_KEPT = 64
_DESCRIPTION = 2000
_many = Lenient(list[msgspec.Raw])
_any: Lenient[Any] = Lenient(cast(type[Any], Any))
_sorted = msgspec.json.Encoder(order="sorted").encode
_Page = tuple[ToolShown, ...]
_seen: OrderedDict[tuple[KeyedHashes, bytes], _Page] = OrderedDict()


def shown(keys: KeyedHashes, tools: msgspec.Raw) -> _Page | None:
    """The tools of one page of tools/list (each page is an answer of its own); None for what is no list.

    A server shows the same page to every client: 200 tools cost 4 ms to hash the first time, and then 0.1 ms.
    """
    page = bytes(tools)
    if page[:1] != b"[":
        return None
    known = (keys, hashlib.blake2b(page, digest_size=16).digest())
    found = _seen.get(known)
    if found is None:
        found = tuple(filter(None, (_tool(keys, part) for part in (_many.read(page) or [])[:_TOOLS_MAX])))
        _seen[known] = found
        if len(_seen) > _PAGES_KEPT:
            _seen.popitem(last=False)
    return found


def _tool(keys: KeyedHashes, raw: msgspec.Raw) -> ToolShown | None:
    body = _any.read(raw)
    if not isinstance(body, dict) or not isinstance(body.get("name"), str):
        return None
    return ToolShown(
        tool=clean(body["name"]) or "",
        content_hash=keys.digest("tool", _canonical(body)),
        schema_hash=keys.digest("schema", _canonical(body.get("inputSchema"))),
        description=clean(body.get("description"), _DESCRIPTION),
        tokens=tokens(len(bytes(raw))),
    )


def _canonical(value: Any) -> bytes:
    """The same however its keys were ordered."""
    try:
        return _sorted(value)
    except (ValueError, RecursionError, OverflowError, UnicodeError):
        return repr(value).encode("utf-8", "surrogatepass")
