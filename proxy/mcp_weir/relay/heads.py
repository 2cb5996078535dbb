"""Request heads known by sight: parsed, guarded and read once, then recognised by their bytes.

A client sends the same head with every call, but for Content-Length's digits. Such a head needs no parser (a fifth of
the relay's time) and no second look of the guard: what is the same to the byte means the same. Only the plainest heads
are kept: a POST with one Content-Length, on a connection that stays open.
"""

from collections.abc import Iterator
from typing import Protocol

from mcp_weir.relay.headers import Headers, values
from mcp_weir.traffic.opening import HeadSaid

_NAMES = (b"\r\nContent", b"\r\ncontent")
LENGTH = b"\0"  # stands for the digits while a head is cut: no header may hold it
_DIGITS_MAX = 9
_ONE_MAX = 4096  # bytes of a head: longer ones are parsed each time
_ALL_MAX = 2 << 20  # bytes of all heads of one generation: some thousand clients


class Parsed(Protocol):
    """A request's head as aiohttp's C parser gives it. (Its RawRequestMessage is not the class that typing knows.)"""

    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def version(self) -> tuple[int, int]: ...
    @property
    def raw_headers(self) -> Headers: ...
    @property
    def should_close(self) -> bool: ...
    @property
    def upgrade(self) -> bool: ...
    @property
    def chunked(self) -> bool: ...


class Known:
    """A head that has passed the guard. Upstream goes `before`, the length's digits, `after`."""

    __slots__ = (
        "after", "before", "headers", "http11", "json", "keep", "mcp", "method", "path", "plain", "query", "said",
    )

    def __init__(self, message: Parsed, target: tuple[str, str, bool]) -> None:
        self.method, self.headers = message.method, message.raw_headers
        self.path, self.query, self.mcp = target
        self.before = self.after = b""
        self.http11, self.keep = message.version[1] >= 1, not message.should_close
        self.json = self.method == "POST" and any(b"json" in kind.lower() for kind in
                                                  values(self.headers, b"content-type"))
        self.said: HeadSaid | None = None
        self.plain = False  # an exchange under it may be read at a glance


class Sight:
    """A head as it lies in a read: `key` is the head without its length's digits, `size` covers head and body."""

    __slots__ = ("before", "body_at", "digits", "key", "rest", "size")

    def __init__(self, key: bytes, parts: tuple[bytes, bytes], digits: bytes, body_at: int) -> None:
        self.key, self.digits, self.body_at = key, digits, body_at
        self.before, self.rest = parts
        self.size = body_at + int(digits)

    def again(self, data: bytes) -> "Sight | None":
        """The same head but for its length, as a client sends it next: no part of it has to be looked for."""
        before, rest = self.before, self.rest
        start = len(before)
        stop = data.find(b"\r", start, start + _DIGITS_MAX + 1)
        if stop < 0 or not data.startswith(before) or not data.startswith(rest, stop):
            return None
        digits = data[start:stop]
        return Sight(self.key, (before, rest), digits, stop + len(rest)) if digits.isdigit() else None


def sight(data: bytes) -> Sight | None:
    """The plain head with which `data` begins; None where it is not whole, or not plain.

    Only the first Content-Length is taken out of the key: a second one, which the guard refuses, remains in it.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 or end > _ONE_MAX:
        return None
    at = data.find(b"-Length: ", 0, end)
    if at < 0:
        at = data.find(b"-length: ", 0, end)
    start = at + 9
    if at < 9 or data[at - 9 : at] not in _NAMES:
        return None
    stop = data.find(b"\r\n", start, end + 2)
    digits = data[start:stop]
    if not digits.isdigit() or len(digits) > _DIGITS_MAX:
        return None
    before = data[:start]
    return Sight(before + data[stop:end], (before, data[stop:end + 4]), digits, end + 4)


def bodiless(data: bytes) -> int:
    """Bytes of the head with which `data` begins, if no body follows it: it has no length, coding or other protocol."""
    size = data.find(b"\r\n\r\n") + 4
    lower = data[:size].lower() if size > 3 else b"-length"
    return 0 if b"-length" in lower or b"\ntransfer-" in lower or b"\nupgrade" in lower else size


def one_by_one(data: bytes) -> Iterator[bytes]:
    """The requests that came in one read, as far as they can be told apart; what cannot comes in one piece."""
    while data:
        seen = sight(data)
        size = seen.size if seen else bodiless(data)
        if not 0 < size < len(data):
            break
        yield data[:size]
        data = data[size:]
    yield data


def is_beginning(data: bytes) -> bool:
    """The first part of a head that may be plain: over a network, a long one comes in pieces."""
    return len(data) < _ONE_MAX and data.startswith(b"POST ") and b"\r\n\r\n" not in data


class Heads:
    """The heads of late, in two generations: what is not seen for a generation is forgotten. Bounded in bytes."""

    def __init__(self) -> None:
        self._young: dict[bytes, Known] = {}
        self._old: dict[bytes, Known] = {}
        self._held = 0

    def find(self, key: bytes) -> Known | None:
        """What was remembered under this key."""
        known = self._young.get(key)
        if known is None and self._old:
            known = self._old.pop(key, None)
            if known is not None:
                self.remember(key, known)
        return known

    def remember(self, key: bytes, known: Known) -> None:
        """`known` has passed the guard, with one Content-Length and any digits in it."""
        self._young[key] = known
        self._held += len(key)
        if self._held > _ALL_MAX:
            self._old, self._young, self._held = self._young, {}, 0


def is_plain(message: Parsed, seen: Sight) -> bool:
    """A head that may be recognised by its bytes, of one that has passed the guard; and `seen` is its sight indeed."""
    headers = message.raw_headers
    return (
        message.method == "POST" and message.version == (1, 1) and not message.should_close and not message.chunked
        and not message.upgrade and len(values(headers, b"content-length")) == 1 and not values(headers, b"expect")
        and _fields(seen, message.path) == [(name, value.strip(b" \t")) for name, value in headers]
    )


def _fields(seen: Sight, path: str) -> list[tuple[bytes, bytes]]:
    """The fields that the key holds, as a parser reads them; nothing where its first line is another."""
    first, *lines = seen.key.split(b"\r\n")
    if first != b"POST %b HTTP/1.1" % path.encode("utf-8", "surrogateescape"):
        return []
    pairs = [line.partition(b":") for line in lines]
    return [(name, value.strip(b" \t") or seen.digits * (name.lower() == b"content-length"))
            for name, _, value in pairs]
