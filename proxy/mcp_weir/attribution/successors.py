"""Which session took the place of a lost one: PROTOCOL.md, attribution 8. Pure.

A 404 makes a client begin anew. Where the new session began on the connection that carried the 404, it is
certain; else one lost session and one new one must be each other's only candidates. No link is better than a
wrong one.
"""

import dataclasses
import uuid
from collections import defaultdict
from collections.abc import Iterable

WITHIN_US = 600_000_000  # a client that comes back later is not known to be the same


@dataclasses.dataclass(frozen=True, slots=True)
class Lost:
    """A session that its server did not know any more. `who`: principal, client and, without principal, address."""

    session: uuid.UUID
    at_us: int
    who: tuple[object, ...]
    stream: uuid.UUID | None
    connection: int | None


@dataclasses.dataclass(frozen=True, slots=True)
class Begun:
    """A session that began with `initialize`."""

    session: uuid.UUID
    at_us: int
    who: tuple[object, ...]
    stream: uuid.UUID | None
    connection: int | None


def successors(lost: Iterable[Lost], begun: Iterable[Begun]) -> dict[uuid.UUID, uuid.UUID]:
    """New session: the lost one that it follows."""
    by_who: dict[tuple[object, ...], list[Begun]] = defaultdict(list)
    for one in begun:
        by_who[one.who].append(one)
    fits = {gone: _fitting(gone, by_who[gone.who]) for gone in lost}
    linked: dict[uuid.UUID, uuid.UUID] = {}
    for gone in sorted(fits, key=lambda g: (g.at_us, g.session)):
        same = [new for new in fits[gone] if gone.stream is not None and _wire(new) == _wire(gone)]
        if same and same[0].session not in linked:
            linked[same[0].session] = gone.session
    taken = set(linked.values())
    free = {gone: [new for new in news if new.session not in linked] for gone, news in fits.items()
            if gone.session not in taken}
    for gone, news in free.items():
        rivals = [other for other, theirs in free.items() if other is not gone and set(theirs) & set(news)]
        if len(news) == 1 and not rivals:
            linked[news[0].session] = gone.session
    return linked


def _fitting(gone: Lost, begun: list[Begun]) -> list[Begun]:
    after = [new for new in begun if new.session != gone.session and 0 <= new.at_us - gone.at_us <= WITHIN_US]
    return sorted(after, key=lambda new: (new.at_us, new.session))


def _wire(one: Lost | Begun) -> tuple[uuid.UUID | None, int | None]:
    return one.stream, one.connection
