"""Who asked to be forgotten: what was opened before that, and is still spooled, makes no row."""

import uuid
from datetime import datetime

import psycopg

from mcp_weir.attribution.joins import Settled
from mcp_weir.attribution.state import ExchangeState
from mcp_weir.attribution.verdicts import wall


class Forgotten:
    """The tombstones of weir.tombstones as they were when this was made; `newest` is the last one's number."""

    def __init__(self, conn: psycopg.Connection) -> None:
        self.newest = 0
        self._sessions: dict[uuid.UUID, datetime] = {}
        self._principals: dict[bytes, datetime] = {}
        found = conn.execute("SELECT id, at, session_key, principal_key FROM weir.tombstones ORDER BY id").fetchall()
        for number, at, session, principal in found:
            self.newest = number
            if session is not None:
                self._sessions[session] = at
            else:
                self._principals[principal] = at

    def leave_out(self, settled: Settled) -> None:
        """Remove what others' exchanges say of a forgotten subject. Its own say nothing any more (see `covers`)."""
        if not self.newest:
            return
        settled.posted = [h for h in settled.posted if not self._is_before(self._sessions.get(h.session), h.wall_us)]
        settled.tasks = [t for t in settled.tasks
                         if not self._is_before(self._asked(t.session, t.principal_key), t.at_us)]

    def names(self, subject: uuid.UUID | bytes) -> bool:
        """Somebody asked for this session or principal to be forgotten, at whatever time."""
        return bool(self.newest) and (subject in self._sessions or subject in self._principals)

    def covers(self, state: ExchangeState) -> bool:
        """This exchange is a forgotten subject's, from before it asked."""
        asked = self._asked(state.session, state.opened.principal_key)
        return self._is_before(asked, state.opened.wall_us)

    def _asked(self, session: uuid.UUID | None, principal_key: bytes | None) -> datetime | None:
        at = self._sessions.get(session) if session is not None else None
        if at is None and principal_key is not None:
            at = self._principals.get(principal_key)
        return at

    @staticmethod
    def _is_before(at: datetime | None, wall_us: int) -> bool:
        return at is not None and wall(wall_us) < at
