"""Links sessions to the lost ones they follow, behind the watermark. Any recorder may do it: it comes to the same."""

from datetime import timedelta

import psycopg

from mcp_weir.attribution.successors import WITHIN_US, Begun, Lost, successors
from mcp_weir.attribution.verdicts import wall
from mcp_weir.store.queries import sql

_SLACK = timedelta(seconds=10)


def link(conn: psycopg.Connection, watermark_us: int) -> int:
    """Link what was lost lately; returns links made. Its cost follows the sessions lost in the last minutes."""
    until = wall(watermark_us)
    since = until - 2 * timedelta(microseconds=WITHIN_US)
    found = conn.execute(sql("lost_sessions"), (since, until)).fetchall()
    lost = [Lost(key, at_us, tuple(who), stream, connection) for key, at_us, *who, stream, connection in found]
    if not lost:
        return 0
    services = sorted({str(one.who[0]) for one in lost})
    first = wall(min(one.at_us for one in lost)) - _SLACK
    found = conn.execute(sql("begun_sessions"), (services, first, until)).fetchall()
    begun = [Begun(key, at_us, tuple(who), stream, connection) for key, at_us, *who, stream, connection in found]
    links = successors(lost, begun)
    made = 0
    for new, gone in sorted(links.items()):
        made += conn.execute(
            "UPDATE weir.session_rows SET previous_session_key = %s WHERE session_key = %s"
            " AND previous_session_key IS DISTINCT FROM %s", (gone, new, gone)).rowcount
    return made
