"""Brings a history up to now, so that its last hour is no empty one: what happened a day before happens again."""

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

_FOLDER = Path(__file__).parent
DAY = timedelta(days=1)
ROWS = ("request_rows", "derived_requests", "session_rows", "stream_rows", "coverage_rows", "catalog_rows")
_MORE = ("facet_hour", "facet_day", "latency_hour", "latency_day", "error_day", "session_rows", "coverage_rows")
ROLLUPS = ("rollup_minute", "rollup_hour", "rollup_day", "total_minute", "total_hour", "total_day", "error_hour")


def queries(name: str) -> dict[str, str]:
    """The named queries of benchmarks/NAME.sql."""
    return dict(re.findall(r"^-- name: (\w+)\n(.*?)(?=^-- name: |\Z)", (_FOLDER / f"{name}.sql").read_text(),
                           re.MULTILINE | re.DOTALL))


def refresh(conn: psycopg.Connection, say: Callable[[str], None]) -> None:
    """Rows up to now, and every rollup of the days that got some. Nothing for a history of the last minutes."""
    again, fill = queries("history_again"), queries("history_fill")
    found = conn.execute(again["newest"].encode()).fetchone()
    began, newest, now = time.monotonic(), found[0] if found else None, datetime.now(UTC)
    if newest is None or now - newest < timedelta(minutes=10):
        return
    conn.execute("SET work_mem = '256MB'")
    first = newest
    while newest < now:
        until = min(newest + DAY, now)
        for day in {newest.date(), until.date()}:
            conn.execute("SELECT weir.ensure_partition(%s), weir.ensure_derived_partition(%s)", (day, day))
        for name in ROWS:
            conn.execute(again[name].encode(), {"after": newest, "until": until})
        newest = until
    today = first.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    for name in ROLLUPS:
        conn.execute(again["forget"].replace("{level}", name).encode(), {"day": today})
    days = [today + n * DAY for n in range((now - today).days + 1)]
    for day in days:
        for name in ("minute", "hour", "day_rollup", "facets"):
            conn.execute(fill[name].encode(), {"day": day})
    for level in ("minute", "hour", "day"):
        conn.execute(again["totals_of"].replace("{level}", level).encode(), {"day": today})
    for name in ("errors_of", "error_days_of"):
        conn.execute(again[name].encode(), {"day": today})
    parts = [f"{table}_{day:%Y%m%d}" for table in ("request_rows", "derived_requests") for day in days]
    for table in (*parts, *ROLLUPS, *_MORE):
        conn.execute(f"VACUUM ANALYZE weir.{table}".encode())
    say(f"brought up to now from {first:%Y-%m-%d %H:%M} in {time.monotonic() - began:.0f} s")
