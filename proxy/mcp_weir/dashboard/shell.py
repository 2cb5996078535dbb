"""What stands around every page: the services there are, and whether recording and serving are well just now."""

import dataclasses
from datetime import datetime, timedelta

from mcp_weir.store import reads
from mcp_weir.store.reads.queries import Conn
from mcp_weir.store.shapes import Alert, Health, Thresholds, Window

_FRESH = timedelta(seconds=5)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Shell:
    """`health` is of the last hour."""

    services: tuple[str, ...]
    alerts: tuple[Alert, ...]
    health: Health

    @property
    def recording(self) -> str:
        """good, warn or bad."""
        if self.health.dropped or any(alert.severity == "critical" and _ours(alert) for alert in self.alerts):
            return "bad"
        return "warn" if self.health.quarantined or any(map(_ours, self.alerts)) else "good"


class Shells:
    """The shell, read at most every five seconds however many pages are looked at."""

    def __init__(self, thresholds: Thresholds) -> None:
        self._thresholds = thresholds
        self._at: datetime | None = None
        self._shell: Shell | None = None

    async def get(self, conn: Conn, now: datetime) -> Shell:
        """The shell as of now."""
        if self._shell is None or self._at is None or now - self._at > _FRESH:
            self._shell = Shell(
                services=await reads.services(conn),
                alerts=await reads.alerts(conn, self._thresholds),
                health=await reads.health(conn, Window.last(timedelta(hours=1), now)),
            )
            self._at = now
        return self._shell


def _ours(alert: Alert) -> bool:
    return alert.kind in ("recording_gap", "recorder")
