"""How a worker reads traffic, from the settings: keys, paths, policies. Raises UsageError with what to write."""

from mcp_weir.config import Settings
from mcp_weir.errors import UsageError
from mcp_weir.keys import Keys
from mcp_weir.traffic.capture import Capture
from mcp_weir.traffic.principals import PrincipalRule
from mcp_weir.traffic.reading import KeyedHashes, Reading


def reading(settings: Settings, keys: KeyedHashes, path: str) -> Reading:
    """The reading of one upstream whose MCP path is `path`."""
    try:
        capture = Capture.parse(settings.capture, settings.capture_rule, settings.redact)
    except ValueError as error:
        raise UsageError(f"--capture-rule {error}") from None
    try:
        principal = PrincipalRule.parse(settings.principal)
    except ValueError as error:
        raise UsageError(f"--principal {error}") from None
    header, argument = _handle(settings.session_handle)
    return Reading(
        keys,
        mcp_paths=settings.mcp_path or default_paths(path),
        body_limit=settings.body_limit,
        keep_session_ids=settings.keep_session_ids,
        keep_principal=settings.keep_principal,
        principal=principal,
        capture=capture,
        handle_header=header,
        handle_argument=argument,
    )


def check_policies(settings: Settings, path: str) -> None:
    """Whether the policies can be read: no key is needed for that. Raises UsageError."""
    reading(settings, Keys(bytes(32), ""), path)


def default_paths(path: str) -> tuple[str, ...]:
    """The upstream's own path, and where HTTP+SSE servers put theirs: at the root, or beside a nested /sse."""
    parent = path.rstrip("/").rpartition("/")[0]
    beside = ("/sse", "/messages/", "/message")
    return tuple(dict.fromkeys((path, *beside, *(parent + name for name in beside))))


def _handle(text: str | None) -> tuple[bytes | None, str | None]:
    if not text:
        return None, None
    kind, _, name = text.partition(":")
    if kind == "header" and name.strip():
        return name.strip().lower().encode("latin-1", "replace"), None
    if kind == "argument" and name.strip():
        return None, name.strip()
    raise UsageError(f"--session-handle {text!r} names nothing; write header:NAME or argument:NAME")
