"""Settling a scope: from what is queued to a mapping of requests to derived sessions. Pure.

Behind the watermark every request is known, and is assigned once and for all, in order of time. What is newer is
assigned too, on a copy that is thrown away: so that it shows at once, and may still change.
"""

import dataclasses
import uuid
from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from mcp_weir.attribution.conversations import Conversation, Scope
from mcp_weir.attribution.evidence import Asked, Counted
from mcp_weir.attribution.ladder import BURST_US, Ladder, order

_ORPHAN_US = 60_000_000  # what follows a request that is in no derived session (a refused `initialize`)


class Queued(NamedTuple):
    """One row of weir.derived_queue. `asked` is missing where it was queued before, `counted` while it runs."""

    id: int
    at_us: int
    request_key: uuid.UUID
    lead_key: uuid.UUID
    asked: Asked | None
    counted: Counted | None

    @property
    def leads(self) -> bool:
        """It brings evidence of its own; the rest of an exchange goes with it."""
        return self.asked is not None and self.request_key == self.lead_key


@dataclasses.dataclass(slots=True)
class Settlement:
    """What one run over a scope came to."""

    scope: Scope
    mapping: dict[uuid.UUID, tuple[int, uuid.UUID]] = dataclasses.field(default_factory=dict)  # key: (time, session)
    sessions: list[tuple[Conversation, bool]] = dataclasses.field(default_factory=list)  # and: still provisional
    vanished: list[uuid.UUID] = dataclasses.field(default_factory=list)  # sessions shown before that are none
    done: list[int] = dataclasses.field(default_factory=list)  # ids that need not be queued any longer
    late: list[tuple[uuid.UUID, Counted]] = dataclasses.field(default_factory=list)  # for sessions that are over


def settle(
    scope: Scope, queued: list[Queued], known: Mapping[uuid.UUID, uuid.UUID], watermark_us: int, window_us: int
) -> Settlement:
    """One run. `known`: sessions of leads that were settled before, for what followed or was counted later."""
    ordered = sorted(queued, key=lambda q: (q.at_us, q.request_key.int))
    leading = sorted((q for q in ordered if q.asked is not None and q.leads), key=_order)
    until_us = watermark_us // BURST_US * BURST_US  # what came together is settled together
    firm = [q for q in leading if q.at_us < until_us]
    leads = {q.lead_key for q in leading}
    firm_leads = {q.lead_key for q in firm}
    rest = [q for q in ordered if not q.leads]
    result = Settlement(scope)
    sessions = dict(known)
    ladder = Ladder(scope, window_us)
    ends = {q.request_key: q.counted.ended_us for q in ordered if q.counted is not None}
    for key, ended_us in ends.items():
        ladder.end(key, ended_us)
    touched = _assign(ladder, firm, ends, sessions, result)
    settled = [q for q in rest if q.lead_key in firm_leads or (q.lead_key in known and q.lead_key not in leads)]
    touched |= _follow(ladder, settled, sessions, result)
    result.done = [q.id for q in (*firm, *settled)]
    result.done += [q.id for q in rest if q.lead_key not in sessions and q.lead_key not in leads
                    and q.at_us < watermark_us - _ORPHAN_US]
    ladder.forget(min(watermark_us, scope.frontier_us))
    result.scope = msgspec.msgpack.decode(msgspec.msgpack.encode(scope), type=Scope)
    open_ = [q for q in leading if q.lead_key not in firm_leads]
    open_leads = {q.lead_key for q in open_}
    provisional = _assign(ladder, open_, ends, sessions, result)
    provisional |= _follow(ladder, [q for q in rest if q.lead_key in open_leads], sessions, result)
    for key in sorted(touched | provisional | (set(scope.shown) & ladder.by_key.keys())):
        result.sessions.append((ladder.by_key[key], key in provisional))
    result.scope.shown = sorted(provisional)
    result.vanished = sorted(key for key in scope.shown if key not in ladder.by_key)
    return result


def _order(q: Queued) -> tuple[int, int, int, int]:
    assert q.asked is not None
    return order(q.asked)


def _assign(
    ladder: Ladder, leads: list[Queued], ends: Mapping[uuid.UUID, int], sessions: dict[uuid.UUID, uuid.UUID],
    result: Settlement,
) -> set[uuid.UUID]:
    touched = set()
    for q in leads:
        assert q.asked is not None
        conversation = ladder.assign(q.asked, ends.get(q.request_key))
        sessions[q.lead_key] = conversation.key
        result.mapping[q.request_key] = (q.at_us, conversation.key)
        if q.counted is not None:
            conversation.count(q.counted, q.at_us, q.request_key)
        touched.add(conversation.key)
    return touched


def _follow(
    ladder: Ladder, rest: list[Queued], sessions: Mapping[uuid.UUID, uuid.UUID], result: Settlement
) -> set[uuid.UUID]:
    touched = set()
    for q in rest:
        key = sessions[q.lead_key]
        if q.asked is not None:
            result.mapping[q.request_key] = (q.at_us, key)
        if q.counted is None:
            continue
        conversation = ladder.by_key.get(key)
        if conversation is None:
            result.late.append((key, q.counted))
        else:
            conversation.count(q.counted, q.at_us, q.request_key)
            touched.add(key)
    return touched
