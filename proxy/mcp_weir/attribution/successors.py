"""Which session took the place of a lost one: PROTOCOL.md, attribution 8. Pure.

A 404 makes a client begin anew. Where the new session began on the connection that carried the 404, it is
certain; else it is the first that the same client begins, unless another lost session has the same claim to it.
No link is better than a wrong one; and none depends on what begins later.
"""

import dataclasses
import uuid
from collections import defaultdict
from collections.abc import Iterable

WITHIN_US = 600_000_000  # a client that comes back later is not known to be the same
_BEFORE_US = 2_000_000  # calls in flight may get their 404 when the first of them has led to a new session already


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
    claims: dict[uuid.UUID, list[Lost]] = defaultdict(list)
    for gone, news in fits.items():
        free = [new for new in news if new.session not in linked]
        if free and gone.session not in linked.values():
            claims[free[0].session].append(gone)
    return linked | {new: gone[0].session for new, gone in claims.items() if len(gone) == 1}


def _fitting(gone: Lost, begun: list[Begun]) -> list[Begun]:
    after = [new for new in begun if new.session != gone.session and -_BEFORE_US <= new.at_us - gone.at_us <= WITHIN_US]
    return sorted(after, key=lambda new: (new.at_us, new.session))


def _wire(one: Lost | Begun) -> tuple[uuid.UUID | None, int | None]:
    return one.stream, one.connection
