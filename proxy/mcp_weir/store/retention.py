"""What is kept, and for how long; and the rollups made anew. Safe beside running recorders, and several at once."""

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import psycopg
from psycopg import sql

MINUTES = timedelta(days=14)  # rollups by minute
HOURS = timedelta(days=400)  # rollups by hour and day, coverage
LEDGER = timedelta(days=30)  # a segment restored from a backup within this time does nothing
_FOR_EVER = "-infinity"
_MORE = ("facet_hour", "facet_day", "latency_hour", "latency_day", "error_day")  # beside what weir.prune knows


def prune(conn: psycopg.Connection, retention_s: float, now: datetime | None = None) -> Mapping[str, int]:
    """Drop day partitions and delete rows older than `retention_s` seconds (0: requests are kept for ever).

    Returns rows deleted by table; a dropped partition counts as 1 under its name. Empty when somebody else is at it.
    A partition that is in use is left to the next time: the drain never waits long.
    """
    now = now or datetime.now(UTC)
    day = _midnight(now)
    before = _midnight(now - timedelta(seconds=retention_s)) if retention_s else _FOR_EVER
    found = conn.execute("SELECT pg_try_advisory_lock(hashtext('weir.prune'))").fetchone()
    if not found or not found[0]:
        return {}
    try:
        done = {name: 1 for name in _partitions(conn, before) if _drop(conn, name)}
        with conn.transaction():
            conn.execute("SET LOCAL statement_timeout = 0")
            rows = conn.execute(
                "SELECT name, deleted FROM weir.prune(%s, %s, %s, %s) UNION ALL"
                " SELECT name, weir.delete_before(name, 'at', %s) FROM unnest(%s::text[]) AS f (name)",
                (before, day - MINUTES, day - HOURS, now - LEDGER, day - HOURS, list(_MORE)),
            ).fetchall()
        for name, deleted in rows:
            done[name] = done.get(name, 0) + deleted
        return {name: deleted for name, deleted in done.items() if deleted}
    finally:
        conn.execute("SELECT pg_advisory_unlock(hashtext('weir.prune'))")


def make_days(conn: psycopg.Connection) -> list[str]:
    """Make the partitions of today, of tomorrow, and of what has gathered in the default partition meanwhile.

    Returns what could not be had because a reader holds it: its rows stay in the default partition until the next time.
    """
    missing = []
    for parent in ("request_rows", "derived_requests"):
        days = conn.execute(sql.SQL(
            "SELECT DISTINCT (started_at AT TIME ZONE 'UTC')::date FROM weir.{}"
            " WHERE started_at > now() - interval '400 days' AND started_at < now() + interval '1 day'"
            " UNION SELECT (now() AT TIME ZONE 'UTC')::date + n FROM generate_series(0, 1) AS n"
        ).format(sql.Identifier(f"{parent}_default"))).fetchall()
        for (day,) in days:
            if conn.execute("SELECT weir.attach_day(%s, %s)", (parent, day)).fetchone() == (False,):
                missing.append(f"{parent} {day}")
    return missing


def rebuild_rollups(conn: psycopg.Connection) -> int:
    """Make every rollup again from the rows; returns how many requests they count. Recorders wait for it."""
    with conn.transaction():
        conn.execute("SET LOCAL statement_timeout = 0")
        conn.execute("SET LOCAL lock_timeout = '60s'")
        conn.execute("SELECT weir.rebuild_facets((SELECT since FROM weir.retained), 'infinity')")
        found = conn.execute("SELECT weir.rebuild_rollups()").fetchone()
        conn.execute("SELECT weir.rebuild_error_days((SELECT since FROM weir.retained))")
    return int(found[0]) if found else 0


def _midnight(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def _partitions(conn: psycopg.Connection, before: datetime | str) -> list[str]:
    return [name for (name,) in conn.execute("SELECT weir.expired_partitions(%s)", (before,)).fetchall()]


def _drop(conn: psycopg.Connection, name: str) -> bool:
    with contextlib.suppress(psycopg.errors.LockNotAvailable), conn.transaction():
        conn.execute("SET LOCAL lock_timeout = '2s'")
        conn.execute(sql.SQL("DROP TABLE weir.{}").format(sql.Identifier(name)))
        return True
    return False
