"""The quick way: from a whole line straight to its packed row, past joins that it does not need.

What comes of a line here is what the general way (attribution.joins, batches, sinks) comes to: a test sends the same
lines both ways. Nothing here waits for another exchange and nothing is looked up in the database; whatever is not
plain is left to the general way, by saying so.
"""

import struct
import uuid
from collections import defaultdict
from typing import Any

import msgspec

from mcp_weir.attribution.joins import Joiner
from mcp_weir.attribution.sessions import CALLS
from mcp_weir.attribution.state import ExchangeState, Origin
from mcp_weir.attribution.verdicts import ERRORS, Row, outcome_of, row_of, wall
from mcp_weir.recorder.batches import session_delta
from mcp_weir.recorder.coverage import MINUTE_US, entry
from mcp_weir.recorder.forgotten import Forgotten
from mcp_weir.recorder.talks import Talk, Who
from mcp_weir.sinks.batch import CLIENT_MAX, METHOD_MAX, TARGET_MAX, Batch, Failure, Kind, Packed
from mcp_weir.sinks.copying import latency_bucket
from mcp_weir.sinks.packing import RowPacker, queued
from mcp_weir.spool.reader import Take, decode
from mcp_weir.traffic.facts import Answer, Closed, Identity, Opened, Request, request_key
from mcp_weir.traffic.whole import PlainOpened, Whole, silent, whole

_KINDS_KEPT, _TALKS_KEPT, _WHOS_KEPT, _BUCKETS_KEPT = 4096, 20_000, 4096, 50_000
_UNSEEN: Any = object()
_NOT_PLAIN = frozenset({"initialize", "server/discover", "subscriptions/listen"})
_LOW = (1 << 62) - 1  # of a request_key's second half, what its variant leaves
_CLIENT = 5  # where in `asks` the request says who asks
_HELLO = b'"method":"initialize"'
_CANCELLED_CODES = (0, -32800)  # how a cancel is confirmed: whether there was one, only the joins know
_UNFIT = (ValueError, OverflowError, TypeError, struct.error)  # what no row can hold: the general way says so properly


class Quick:
    """One connection's life of it. `take` of each stream is called while the spool is read; then `harvest`."""

    def __init__(self, packer: RowPacker, joiner: Joiner, forgotten: Forgotten, *, keep_rows: bool) -> None:
        self.packer, self.joiner, self.forgotten, self.keep_rows = packer, joiner, forgotten, keep_rows
        self.packed = Packed()
        self.buckets: dict[int, int] = {}  # microseconds -> latency bucket
        self._ways: dict[uuid.UUID, Way] = {}

    def way(self, origin: Origin) -> Take:
        """What takes the whole lines of this stream: payload -> taken or not. Never raises."""
        way = self._ways.get(origin.stream)
        if way is None:
            way = self._ways[origin.stream] = Way(self, origin)
        return way.take

    def begin(self) -> None:
        """Before a reading: what was introduced meanwhile is known by another name."""
        while self.joiner.introduced:
            session = str(self.joiner.introduced.popleft())
            for way in self._ways.values():
                way.talks.pop(session, None)
        if len(self.buckets) > _BUCKETS_KEPT:
            self.buckets.clear()

    def harvest(self, batch: Batch) -> int:
        """Put what was taken into the batch; returns how many exchanges that were."""
        batch.packed, self.packed = self.packed, Packed()
        batch.packed.add_up()
        return sum(way.harvest(batch) for way in self._ways.values())

    def forget(self, stream: uuid.UUID) -> None:
        """The stream is buried."""
        self._ways.pop(stream, None)


class Way:
    """One stream's lines."""

    def __init__(self, quick: Quick, origin: Origin) -> None:
        self.talks: dict[str | None, Talk] = {}
        self._quick, self._origin = quick, origin
        self._high = request_key(origin.stream, 0, 0).bytes[:8]
        self._kinds: dict[tuple[object, ...], Kind | None] = {}
        self._stored: defaultdict[int, int] = defaultdict(int)  # by minute
        self._touched: list[Talk] = []

    def take(self, payload: bytes) -> bool:
        """Take a line; False when it is none that can be taken here, and nothing has happened."""
        line = whole(payload)
        if line is None:
            return self._take_silent(payload)
        opened, request, answer, closed = line
        named = (request.method, request.target, answer.outcome, closed.status, closed.response_kind,
                 answer.error_code, answer.error_message)
        try:
            kind = self._kinds.get(named, _UNSEEN)
            if kind is _UNSEEN:
                kind = self._new_kind(named, payload)
            talk = self.talks.get(opened.session) or self._talk(opened)
            if kind is None or talk.client is None:
                return False
            asks = (opened.client_addr, opened.user_agent, opened.principal_key, opened.protocol_version,
                    request.protocol_version, request.client, opened.handle or request.handle, opened.proxied)
            who = talk.whos.get(asks) or self._new_who(talk, asks, payload)
            if not who.plain:
                return False
            self._keep(line, kind, talk, who)
        except _UNFIT:
            return False
        if self._quick.keep_rows:
            self._quick.packed.again.append(_row(self._origin, payload, talk.client if talk.key is not None else None))
        return True

    def harvest(self, batch: Batch) -> int:
        """Sessions and coverage of what was taken; rows and sums are in the batch already."""
        stored, self._stored = self._stored, defaultdict(int)
        for minute, n in stored.items():
            entry(batch, self._origin, minute).stored += n
        for talk in self._touched:
            assert talk.key is not None and talk.first is not None
            if talk.stands and talk.key not in batch.sessions and talk.key not in batch.touched:
                batch.touched[talk.key] = talk.touch(talk.key)
                continue
            delta = session_delta(batch, talk.key, ExchangeState(self._origin, _opened(talk.first, talk.key)))
            talk.add_to(delta)
        self._touched = []
        if len(self.talks) > _TALKS_KEPT:
            self.talks.clear()
        return sum(stored.values())

    def _keep(self, line: Whole, kind: Kind, talk: Talk, who: Who) -> None:
        """Everything that can fail comes before everything that is kept."""
        opened, request, answer, _ = line
        took_us, wall_us = answer.at_us, opened.wall_us
        quick, packed = self._quick, self._quick.packed
        bucket = quick.buckets.get(took_us)
        if bucket is None:
            bucket = quick.buckets[took_us] = latency_bucket(took_us / 1000)
        key = self._high, (opened.exchange << 24) & _LOW | 1 << 63
        row = quick.packer.row(line, key, bucket, kind.packed + who.packed)
        sizes = (took_us, request.size, answer.size, request.tokens_in or 0, answer.tokens_out or 0)
        if talk.key is None:
            evidence = who.evidence(line, self._high + key[1].to_bytes(8, "big"))
            packed.queue.append(queued(who.scope, wall_us, key, evidence, who.counts(line, kind)))
        else:
            if talk.first is None:
                self._touched.append(talk)
            talk.count(opened, kind, sizes)
        packed.rows.append(row)
        minute = wall_us // MINUTE_US
        packed.noted[minute, kind, who.label, bucket].append(sizes)
        if kind.outcome != "ok":
            packed.failed.append(_failure(opened, kind, who, uuid.UUID(bytes=self._high + key[1].to_bytes(8, "big"))))
        self._stored[minute] += 1

    def _take_silent(self, payload: bytes) -> bool:
        line = silent(payload)
        if line is None:
            if _HELLO in payload:
                self._look_at_hello(payload)
            return False
        opened = line[0]
        try:
            talk = self.talks.get(opened.session) or self._talk(opened)
        except ValueError:
            return False
        if talk.key is not None:
            names = self._quick.forgotten.names
            if names(talk.key) or (opened.principal_key is not None and names(opened.principal_key)):
                return False
            if talk.first is None:
                self._touched.append(talk)
            talk.meet(opened)
        minute = opened.wall_us // MINUTE_US
        self._stored[minute] += 1
        return True

    def _look_at_hello(self, payload: bytes) -> None:
        """A session that begins here is known to its next line; its row is made the general way."""
        match decode(payload):
            case [Opened(session=None, principal_key=principal),
                  Request(method="initialize", client=Identity() as client),
                  Answer(session=uuid.UUID() as session, member=0, outcome="ok"), Closed(status=int(status))]:
                names = self._quick.forgotten.names
                if status < 400 and not names(session) and not (principal is not None and names(principal)):
                    self.talks[str(session)] = Talk(session, Identity(name=client.name, version=client.version))

    def _talk(self, opened: PlainOpened) -> Talk:
        key = None if opened.session is None else uuid.UUID(opened.session)
        talk = self.talks[opened.session] = Talk(key, self._client_of(key))
        return talk

    def _client_of(self, session: uuid.UUID | None) -> Identity | None:
        """The client of a session; None where the joins have to find out, or someone asked to be forgotten."""
        if session is None:
            return Identity()
        return None if self._quick.forgotten.names(session) else self._quick.joiner.clients.get(session)

    def _new_kind(self, named: tuple[object, ...], payload: bytes) -> Kind | None:
        if len(self._kinds) > _KINDS_KEPT:
            self._kinds.clear()
        kind, row = None, _row(self._origin, payload, None)
        method = row.method or ""
        confirms = row.outcome == "rpc_error" and row.error_code in _CANCELLED_CODES
        if method not in _NOT_PLAIN and not method.startswith("tasks/") and not confirms:
            kind = Kind(
                service=row.service, method=method, target=row.target or "", outcome=row.outcome,
                http_status=row.http_status, error_code=row.error_code, error_message=row.error_message,
                is_tool=method == "tools/call", is_call=method in CALLS, is_error=row.outcome in ERRORS,
                packed=self._quick.packer.of_kind(row))
        self._kinds[named] = kind
        return kind

    def _new_who(self, talk: Talk, asks: tuple[object, ...], payload: bytes) -> Who:
        if len(talk.whos) > _WHOS_KEPT:
            talk.whos.clear()
        row = _row(self._origin, payload, talk.client if talk.key is not None else None)
        plain = row.principal_key is None or not self._quick.forgotten.names(row.principal_key)
        if talk.key is not None:  # a client that says who it is, or speaks as no session should: for the joins
            plain = plain and row.era == "legacy" and asks[_CLIENT] is None
        who = talk.whos[asks] = Who(row, self._quick.packer.of_who(row), plain)
        return who


def _row(origin: Origin, payload: bytes, client: Identity | None) -> Row:
    """The row of a whole line, as the general way makes it."""
    opened, request, *rest = decode(payload)
    assert isinstance(opened, Opened) and isinstance(request, Request)
    state = ExchangeState(origin, opened)
    for fact in (request, *rest):
        state.fold(fact)
    return row_of(state, request, outcome_of(state, request) or "", client)


def _opened(plain: PlainOpened, session: uuid.UUID) -> Opened:
    values = msgspec.structs.asdict(plain) | {"session": session}
    return Opened(**values)


def _failure(opened: PlainOpened, kind: Kind, who: Who, key: uuid.UUID) -> Failure:
    return (wall(opened.wall_us), kind.service, kind.method[:METHOD_MAX], kind.target[:TARGET_MAX],
            (who.label or "")[:CLIENT_MAX], kind.outcome, kind.http_status or 0, kind.error_code or 0,
            kind.error_message, key)
