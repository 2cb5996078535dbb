"""What the quick way remembers of sessions and clients, and what a batch adds to them."""

import uuid

import msgspec

from mcp_weir.attribution.evidence import Counted, Said, asked_of, said_by, scope_of
from mcp_weir.attribution.sessions import SessionDelta
from mcp_weir.attribution.verdicts import Row, wall
from mcp_weir.sinks.batch import Kind, Sizes, Touch
from mcp_weir.traffic.facts import Identity
from mcp_weir.traffic.whole import PlainOpened, Whole

_encode = msgspec.msgpack.Encoder().encode


class _Evidence(msgspec.Struct, array_like=True, gc=False):
    """attribution.evidence.Asked, as it is written: the key as bytes, `who` packed already."""

    key: bytes
    at_us: int
    lane: bytes
    known: bool
    handle: bytes | None
    jsonrpc_id: str
    begins: bool
    connection: bytes | None
    trace: str | None
    who: msgspec.Raw


class Who:
    """A client as one kind of its requests shows it: what of their rows is the same."""

    __slots__ = (
        "_handle", "_known", "_lane", "_last_said", "_packed_who", "_stream", "label", "packed", "plain", "scope",
    )

    def __init__(self, row: Row, packed: bytes, plain: bool) -> None:
        asked = asked_of(row, 0)
        self.packed, self.plain, self.label, self.scope = packed, plain, row.client_label, scope_of(row)
        self._lane, self._known, self._handle = asked.lane, asked.known, asked.handle
        self._last_said: tuple[tuple[object, ...], Said | None] | None = None
        self._packed_who = msgspec.Raw(_encode(asked.who))
        self._stream = None if row.proxied else row.stream.bytes[:8]

    def evidence(self, line: Whole, key: bytes) -> bytes:
        """What attribution.evidence.asked_of() would say of this line's row, packed."""
        opened, request = line[0], line[1]
        connection = None
        if self._stream is not None and opened.connection:
            connection = self._stream + opened.connection.to_bytes(8, "big", signed=True)
        return _encode(_Evidence(
            key, opened.wall_us, self._lane, self._known, self._handle, request.jsonrpc_id, False, connection,
            request.trace_id, self._packed_who))

    def counts(self, line: Whole, kind: Kind) -> bytes:
        """What attribution.evidence.counted_of() would say of this line's row, packed."""
        opened, request, answer, closed = line
        said = self._said(opened.principal, request.client, answer.server)
        return _encode(Counted(opened.wall_us + closed.at_us, True, (
            1, int(kind.is_tool), int(kind.is_call), int(kind.is_error), request.size, answer.size,
            request.tokens_in or 0, answer.tokens_out or 0), said))

    def _said(self, principal: str | None, client: Identity | None, server: Identity | None) -> Said | None:
        """Most of a client's lines say the same."""
        named = principal, client, server
        if self._last_said is None or self._last_said[0] != named:
            self._last_said = named, said_by(client, principal, server)
        return self._last_said[1]


class Talk:
    """A session, or (with key None) everybody who has none. `client` is None where it is not known."""

    __slots__ = ("_kinds", "_last_us", "_sizes", "_written", "client", "first", "key", "whos")

    def __init__(self, key: uuid.UUID | None, client: Identity | None) -> None:
        self.key, self.client = key, client
        self.whos: dict[tuple[object, ...], Who] = {}
        self.first: PlainOpened | None = None  # the earliest exchange of this batch
        self._last_us = 0
        self._sizes: list[Sizes] = []
        self._kinds: list[Kind] = []
        self._written: PlainOpened | None = None  # the earliest of those that were written whole, with a row

    def meet(self, opened: PlainOpened) -> None:
        """An exchange that the server accepted."""
        if self.first is None or _before(opened, self.first):
            self.first = opened
        if opened.wall_us > self._last_us:
            self._last_us = opened.wall_us

    def count(self, opened: PlainOpened, kind: Kind, sizes: Sizes) -> None:
        """A row."""
        self.meet(opened)
        self._sizes.append(sizes)
        self._kinds.append(kind)

    @property
    def stands(self) -> bool:
        """Nothing but counts and the time can change in the session's row: the rest was written in an earlier batch.

        Were it not so (a batch that fails takes this memory with it), the row would say it by not being there.
        """
        first, written = self.first, self._written
        return (first is not None and written is not None and not _before(first, written)
                and first.session_id in (None, written.session_id))

    def touch(self, key: uuid.UUID) -> Touch:
        """What the batch adds to the row of a session that stands."""
        last_us, counts = self._taken()
        return Touch(key, wall(last_us), *counts)

    def add_to(self, delta: SessionDelta) -> None:
        """Put the batch's counts into what is written of the session, and begin anew."""
        first, last_us, counts = self.first, *self._taken()
        if counts[0]:
            if delta.era == "unknown":
                delta.era = "legacy"
            if first is not None and (self._written is None or _before(first, self._written)):
                self._written = first
        delta.add(wall(last_us), counts)

    def _taken(self) -> tuple[int, list[int]]:
        """When it was last heard of, and counts as SessionDelta.add() takes them; then the next batch begins."""
        kinds, sizes, last_us = self._kinds, self._sizes, self._last_us
        self.first, self._last_us, self._kinds, self._sizes = None, 0, [], []
        counts = [len(kinds), sum([kind.is_tool for kind in kinds]), sum([kind.is_call for kind in kinds]),
                  sum([kind.is_error for kind in kinds])]
        columns = list(zip(*sizes, strict=True))
        return last_us, [*counts, *map(sum, columns[1:])] if columns else [*counts, 0, 0, 0, 0]


def _before(one: PlainOpened, other: PlainOpened) -> bool:
    return one.wall_us < other.wall_us or (one.wall_us == other.wall_us and one.exchange < other.exchange)
