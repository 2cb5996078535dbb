"""Failures by layer, fault and message, from the error rollups."""

from psycopg import sql

from mcp_weir.store.reads.queries import Conn, composed, fetch, params
from mcp_weir.store.reads.spans import Span, hours_and_days, named
from mcp_weir.store.shapes import HOUR, NO_FILTER, ErrorGroup, Filter, Window
from mcp_weir.store.shapes.windows import floor


async def errors(conn: Conn, window: Window, where: Filter = NO_FILTER, *, limit: int = 100) -> tuple[ErrorGroup, ...]:
    """Groups of like failures, most first; whole hours. Uses service, client, tool, target, method, outcome, layer,
    fault, text."""
    values = params(window, where, limit=limit)
    # whole days by day, the rest of the edges by hour; for one client all by hour, as a day does not count by client
    found = hours_and_days(window) if where.client is None else [Span("hour", floor(window.since, HOUR), window.until)]
    parts = [
        composed(f"_errors_{span.level}", {"since": named(f"since_{n}", span.since, values),
                                           "until": named(f"until_{n}", span.until, values)})
        for n, span in enumerate(found)
    ]
    rows = await fetch(conn, "errors", values, {"parts": sql.SQL(" UNION ALL ").join(parts)})
    return tuple(ErrorGroup(**{**row, "clients": tuple(row["clients"])}) for row in rows)
