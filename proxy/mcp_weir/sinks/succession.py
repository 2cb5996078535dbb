"""Links sessions to the lost or replaced ones they follow, behind the watermark.

Any recorder may do it: it comes to the same.
"""

from datetime import timedelta

import psycopg

from mcp_weir.attribution.successors import WITHIN_US, Begun, Lost, successors
from mcp_weir.attribution.verdicts import wall
from mcp_weir.store.queries import sql

_SLACK = timedelta(seconds=10)
_LOOK_BACK = timedelta(minutes=10)  # a recorder that was away for longer leaves it at `idle_timeout`


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


def replace(conn: psycopg.Connection, watermark_us: int, idle_window: timedelta) -> int:
    """End silent sessions that another took the place of on their connection; returns how many.

    That a client began anew does not prove that it gave up what it had: it may hold several sessions. So the reason
    is given only where silence would have ended the session anyway, and is void if it is heard of afterwards.
    """
    until = wall(watermark_us) - idle_window
    found = conn.execute(sql("replaced"), {
        "since": until - _LOOK_BACK, "until": until, "within": timedelta(microseconds=WITHIN_US)}).fetchall()
    for old, new, at, stream, connection in found:
        with conn.transaction():
            conn.execute(sql("note_ends"), ([old], ["replaced"], [at], [None], [stream], [connection]))
            conn.execute(sql("apply_ends"), ([old],))
            conn.execute("UPDATE weir.session_rows SET previous_session_key = %s WHERE session_key = %s"
                         " AND previous_session_key IS NULL", (old, new))
    return len(found)
