"""Retention and the days to come, hourly, over a connection of its own: the drain does not wait for it."""

import threading

import psycopg

from mcp_weir import log
from mcp_weir.errors import StoreError
from mcp_weir.store import connect, retention

_FIRST_S = 60.0  # after the start: the drain comes first
_EVERY_S = 3600.0
_AGAIN_S = 300.0  # where somebody was in the way


def keep_house(database_url: str, retention_s: float, stop: threading.Event) -> None:
    """Prune, and make partitions, until `stop` is set. Never raises; what fails is tried again an hour later."""
    pause = _FIRST_S
    while not stop.wait(pause):
        pause = _EVERY_S
        try:
            with connect.connect(database_url) as conn:
                deleted = retention.prune(conn, retention_s)
                missing = retention.make_days(conn)
            if deleted:
                log.info("recorder.pruned", **deleted)
            if missing:
                log.info("recorder.days_missing", days=missing, hint="a long reader holds the table: tried again later")
                pause = _AGAIN_S
        except (StoreError, psycopg.Error, OSError) as error:
            log.warning("recorder.prune_failed", error=type(error).__name__)
