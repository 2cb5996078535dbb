"""How recording fares: exchanges seen against stored, gaps, and who records at all."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mcp_weir.store.reads.queries import Conn, cursor_of, cursor_read, fetch, fetch_as, params
from mcp_weir.store.shapes import NO_FILTER, CoverageRow, Filter, Gap, Health, Page, Window


async def health(conn: Conn, window: Window, where: Filter = NO_FILTER) -> Health:
    """Seen, stored, waiting, open, dropped, quarantined and gaps. Uses service."""
    found = (await fetch(conn, "health", params(window, where)))[0]
    gaps = await fetch_as(conn, "gaps", Gap, params(window, where, limit=100)) if found["dropped"] else []
    reasons: dict[str, int] = {}
    for gap in gaps:
        for reason, count in gap.reasons.items():
            reasons[reason] = reasons.get(reason, 0) + count
    return Health(**found, reasons=reasons, gaps=tuple(gaps))


async def coverage(
    conn: Conn, window: Window, where: Filter = NO_FILTER, *, cursor: str | None = None, limit: int = 100
) -> Page[CoverageRow]:
    """Minutes of each instance, newest first. Uses service. Raises ValueError for a cursor that is none."""
    said = cursor_read(cursor, 2) if cursor else [None, None, None]
    at = datetime.fromisoformat(said[0]) if said[0] else None
    values = params(window, where, limit=limit + 1, after_at=at, after_service=said[1], after_instance=said[2])
    found = await fetch(conn, "coverage", values)
    last = found[limit - 1] if len(found) > limit else None
    following = cursor_of(last["minute"], last["service"], last["instance"]) if last else None
    return Page(tuple(_minute(row) for row in found[:limit]), following)


async def services(conn: Conn) -> tuple[str, ...]:
    """Every service that ever recorded."""
    return tuple(row["service"] for row in await fetch(conn, "services", {}))


def _minute(row: Mapping[str, Any]) -> CoverageRow:
    return CoverageRow(**{**row, "reasons": _summed(row["reasons"] or ())})


def _summed(parts: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for part in parts:
        for reason, count in part.items():
            found[reason] = found.get(reason, 0) + int(count)
    return found
