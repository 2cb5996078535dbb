"""Capture policies: what of arguments and results may rest, as JSON text that Postgres takes. Pure; bounded.

off: nothing. keys: the shape, types in place of values. hashed: keyed hashes in place of values. redacted: values,
secrets masked. full: values, but never those of --redact names. Rules name a tool (with * and ?) and a path
($.a.b[*].c, $.*); the first that covers a place wins there, else --capture.
"""

import dataclasses
import fnmatch
import re
from typing import Any, Literal, Protocol, cast, get_args

import msgspec

from mcp_weir.traffic.secrets import MASK, fold_key, is_secret_key, without_secrets
from mcp_weir.wire.lenient import Lenient

Policy = Literal["off", "keys", "hashed", "redacted", "full"]
TEXT_LIMIT = 256 << 10  # of one captured document, in bytes
_STRING_LIMIT = 32 << 10
_DEPTH = 48  # jsonb takes more; a reader's eye and a recursive function do not
_ITEMS = 1000
_STEP = re.compile(r"""\.([^.\[\]]+)|\[(\d+|\*)\]|\['([^']*)'\]""")
_UNSAFE = re.compile("[\0\ud800-\udfff]")
_OMIT: Any = object()
_any: Lenient[Any] = Lenient(cast(type[Any], Any))


class _Keys(Protocol):
    def digest(self, purpose: str, data: bytes) -> bytes: ...


@dataclasses.dataclass(frozen=True, slots=True)
class Rule:
    """`path` holds the steps from the root; `*` is any step."""

    tool: str
    path: tuple[str, ...]
    policy: Policy

    @classmethod
    def parse(cls, text: str) -> "Rule":
        """TOOL=POLICY or TOOL:$.json.path=POLICY. Raises ValueError."""
        place, equals, policy = text.rpartition("=")
        tool, colon, path = place.partition(":$")
        if not equals or not tool.strip() or policy.strip() not in get_args(Policy):
            raise ValueError(f"{text!r} is no rule; write TOOL=POLICY or TOOL:$.json.path=POLICY, POLICY one of "
                             + ", ".join(get_args(Policy)))
        return cls(tool.strip(), _steps(path.strip(), text) if colon else (), cast(Policy, policy.strip()))

    def covers(self, path: tuple[str, ...]) -> bool:
        """The place lies at or beneath this rule's."""
        if len(path) < len(self.path):
            return False
        return all(mine in ("*", theirs) for mine, theirs in zip(self.path, path, strict=False))


def _steps(path: str, text: str) -> tuple[str, ...]:
    steps, at = [], 0
    while at < len(path):
        found = _STEP.match(path, at)
        if found is None:
            raise ValueError(f"{text!r}: $ is followed by .name, [number], [*] or ['name']")
        steps.append(next(group for group in found.groups() if group is not None))
        at = found.end()
    return tuple(steps)


@dataclasses.dataclass(frozen=True, slots=True)
class Capture:
    """The policies of an installation. `redact` holds more secret key names."""

    default: Policy = "off"
    rules: tuple[Rule, ...] = ()
    redact: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, default: str, rules: tuple[str, ...], redact: tuple[str, ...]) -> "Capture":
        """From the settings' texts. Raises ValueError."""
        if default not in get_args(Policy):
            raise ValueError(f"{default!r} is none of {', '.join(get_args(Policy))}")
        return cls(cast(Policy, default), tuple(map(Rule.parse, rules)), frozenset(map(fold_key, redact)))

    @property
    def active(self) -> bool:
        """Anything may be taken at all."""
        return self.default != "off" or bool(self.rules)

    def take(self, keys: _Keys, tool: str | None, document: msgspec.Raw) -> str | None:
        """What may rest of a tool's arguments or result; None for nothing.

        `tool` is None where an answer came apart from its request: then a rule for any one tool forbids it.
        """
        if not self.active:
            return None
        if tool is None and any(rule.tool != "*" for rule in self.rules):
            return None
        rules = tuple(rule for rule in self.rules if fnmatch.fnmatchcase(tool or "", rule.tool))
        if self.default == "off" and all(rule.policy == "off" for rule in rules):
            return None
        value = _any.read(document) if bytes(document) else None
        if value is None:
            return None
        kept = _Walk(self, rules, keys).keep(value, (), 0)
        return None if kept is _OMIT else _text(kept)


class _Walk:
    """One document on its way to rest."""

    def __init__(self, capture: Capture, rules: tuple[Rule, ...], keys: _Keys) -> None:
        self._capture, self._rules, self._keys = capture, rules, keys

    def keep(self, value: Any, path: tuple[str, ...], depth: int) -> Any:
        if depth > _DEPTH:
            return MASK
        policy = next((rule.policy for rule in self._rules if rule.covers(path)), self._capture.default)
        if isinstance(value, dict):
            return self._object(value, path, depth, policy)
        if isinstance(value, list):
            items = value[:1] if policy == "keys" and not self._rules else value[:_ITEMS]
            kept = [self.keep(item, (*path, str(n)), depth + 1) for n, item in enumerate(items)]
            kept = [item for item in kept if item is not _OMIT]
            return _OMIT if policy == "off" and not kept else kept
        return self._leaf(value, policy)

    def _object(self, value: dict[str, Any], path: tuple[str, ...], depth: int, policy: Policy) -> Any:
        kept = {}
        for name, member in value.items():
            if self._forbidden(name, policy):
                kept[_safe(name)] = MASK
                continue
            inner = self.keep(member, (*path, name), depth + 1)
            if inner is not _OMIT:
                kept[_safe(name)] = inner
        return _OMIT if policy == "off" and not kept else kept

    def _forbidden(self, name: str, policy: Policy) -> bool:
        if policy == "redacted":
            return is_secret_key(name, self._capture.redact)
        return policy == "full" and fold_key(name) in self._capture.redact

    def _leaf(self, value: Any, policy: Policy) -> Any:
        if policy == "off":
            return _OMIT
        if policy == "keys":
            return "null" if value is None else _TYPES[type(value)]
        if policy == "hashed":
            return "hash:" + self._keys.digest("value", msgspec.json.encode(_plain(value))).hex()
        plain = _plain(value)
        return without_secrets(plain) if policy == "redacted" and isinstance(plain, str) else plain


_TYPES = {str: "string", int: "number", float: "number", bool: "boolean"}


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return _safe(value, _STRING_LIMIT)
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() > 64:
        return str(value)[:64] if value.bit_length() < 4096 else MASK  # digits beyond that are refused as text too
    return value


def _safe(text: str, limit: int = 1024) -> str:
    return _UNSAFE.sub("\ufffd", text[:limit])


def _text(value: Any) -> str | None:
    try:
        text = msgspec.json.encode(value)
    except (ValueError, TypeError, RecursionError, OverflowError):
        return None
    if len(text) > TEXT_LIMIT:
        return f'{{"$truncated":{len(text)}}}'
    return text.decode()
