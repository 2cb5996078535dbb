"""Operations of more than one request: MRTR rounds (2026-07-28) and tasks (2025-11-25 and the extension). Pure.

An operation is named by its first request; what a request handed out (a requestState, keys to be answered, a
task) leads a later one back to it. PROTOCOL.md, attribution 6: a wrong link is worse than none.
"""

import dataclasses
import hashlib
import uuid
from collections import OrderedDict
from typing import Literal

from mcp_weir.attribution.state import ExchangeState
from mcp_weir.traffic.facts import Answer, Request, TaskSeen, request_key

_REMEMBERED = 20_000
_ENDED = {"completed": "ok", "failed": "rpc_error", "cancelled": "cancelled"}
Waits = Literal["waits"]


@dataclasses.dataclass(slots=True)
class HandedOut:
    """Field names are the columns of weir.handed_out; `at_us` is Unix time in microseconds."""

    request_key: uuid.UUID
    hash: bytes
    operation_key: uuid.UUID
    at_us: int
    claimed_by: uuid.UUID | None = None


@dataclasses.dataclass(frozen=True, slots=True)
class TaskEnd:
    """How a task ended, as a notification or the answer to tasks/get or tasks/cancel said it; `hash` as in HandedOut,
    `at_us` as there. Whose it is, for whoever asks to be forgotten.
    """

    hash: bytes
    at_us: int
    outcome: str
    session: uuid.UUID | None = None
    principal_key: bytes | None = None


class Operations:
    """What has been handed out, as far as known here; the recorder brings what other recorders saw."""

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, dict[uuid.UUID, HandedOut]] = OrderedDict()
        self.claims: list[HandedOut] = []

    def learn(self, handed: HandedOut) -> None:
        """Something was handed out, here or elsewhere."""
        entry = self._known.setdefault(handed.hash, {})
        known = entry.setdefault(handed.request_key, handed)
        known.claimed_by = known.claimed_by or handed.claimed_by
        self._known.move_to_end(handed.hash)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)

    def link(self, state: ExchangeState, request: Request, watermark_us: int) -> uuid.UUID | Waits | None:
        """The operation this request goes on; None when it begins one; `waits` while that cannot be said.

        Exact names are followed at once. The weaker evidence of answered keys is weighed behind the watermark,
        when every candidate is known.
        """
        hash_ = looks_for(state, request)
        if hash_ is None:
            return None
        asked_us = state.opened.wall_us + request.at_us
        own = request_key(state.origin.stream, state.opened.exchange, request.member)
        exact = request.task is not None or request.state_hash is not None
        if not exact and watermark_us < asked_us:
            return "waits"
        found = [h for h in self._known.get(hash_, {}).values() if h.request_key != own and h.at_us <= asked_us]
        free = [h for h in found if h.claimed_by in (None, own)]
        fitting = {h.operation_key for h in free or found}
        if len(fitting) == 1:
            if request.task is None:
                self._claim(free, own)
            return fitting.pop()
        if watermark_us < asked_us:
            return "waits"
        if request.task is None:
            state.flag(request.member, "unlinked")
        return None

    def _claim(self, free: list[HandedOut], by: uuid.UUID) -> None:
        for handed in free:
            if handed.claimed_by is None:
                handed.claimed_by = by
                self.claims.append(handed)


def looks_for(state: ExchangeState, request: Request) -> bytes | None:
    """The hash under which this request's operation was handed out; None when it names none."""
    if request.task is not None:
        return _hash("task", state, None, request.task)
    if request.state_hash is not None:
        return _hash("state", state, request, request.state_hash)
    if request.input_keys:
        return _hash("keys", state, request, "\0".join(request.input_keys).encode())
    return None


def handed_out(state: ExchangeState, request: Request, answer: Answer, operation: uuid.UUID) -> HandedOut | None:
    """What this answer gave the client to come back with."""
    if answer.outcome == "input_required" and answer.state_hash is not None:
        hash_ = _hash("state", state, request, answer.state_hash)
    elif answer.outcome == "input_required" and answer.input_keys:
        hash_ = _hash("keys", state, request, "\0".join(answer.input_keys).encode())
    elif answer.task is not None and request.task is None:
        hash_ = _hash("task", state, None, answer.task)
    else:
        return None
    own = request_key(state.origin.stream, state.opened.exchange, request.member)
    return HandedOut(own, hash_, operation, state.opened.wall_us + answer.at_us)


def task_end(state: ExchangeState, seen: TaskSeen | Answer) -> TaskEnd | None:
    """What a notification or an answer says of how a task ended; None where it goes on.

    2025-11-25 tells a status alone; the extension tells the result with it, which may be a tool's error.
    """
    outcome = seen.task_outcome or _ENDED.get(seen.task_status or "")
    if outcome is None or seen.task is None:
        return None
    return TaskEnd(_hash("task", state, None, seen.task), state.opened.wall_us + seen.at_us, outcome,
                   state.session, state.opened.principal_key)


def _hash(kind: str, state: ExchangeState, request: Request | None, what: bytes) -> bytes:
    """Never across principals; where none is known, never across sessions or, for bare keys, client addresses."""
    opened = state.opened
    whose = opened.principal_key or (state.session.bytes if state.session else b"")
    if kind == "keys" and not whose:
        whose = f"{opened.client_addr}\0{opened.user_agent}".encode()
    named = f"{request.method}\0{request.target}".encode() if request else b""
    parts = (kind.encode(), state.origin.service.encode(), whose, named, what)
    return hashlib.blake2b(b"".join(b"%d:%b" % (len(p), p) for p in parts), digest_size=16).digest()
