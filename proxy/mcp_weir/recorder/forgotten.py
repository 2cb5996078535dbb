"""Who asked to be forgotten: what was opened before that, and is still spooled, makes no row."""

import uuid
from datetime import datetime

import psycopg

from mcp_weir.attribution.joins import Settled
from mcp_weir.attribution.state import ExchangeState
from mcp_weir.attribution.verdicts import wall
from mcp_weir.traffic.facts import request_key


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
        """Remove what belongs to a forgotten subject. The exchanges still count as stored: they were seen through."""
        if not self.newest:
            return
        states = {state.ident: state for _, state in settled.rows}
        states |= {state.ident: state for state in settled.ended} | settled.open
        covered = {ident: state for ident, state in states.items() if self.covers(state)}
        settled.rows = [pair for pair in settled.rows if pair[1].ident not in covered]
        settled.posted = [h for h in settled.posted if (h.origin.stream, h.exchange) not in covered
                          and not self._is_before(self._sessions.get(h.session), h.wall_us)]
        keys = {request_key(stream, exchange, member) for (stream, exchange), state in covered.items()
                for member in state.requests}
        settled.handed = [h for h in settled.handed if h.request_key not in keys]
        settled.tasks = [t for t in settled.tasks
                         if not self._is_before(self._asked(t.session, t.principal_key), t.at_us)]
        settled.claims = [h for h in settled.claims if h.claimed_by not in keys]
        for state in covered.values():
            scrub(state)

    def names(self, subject: uuid.UUID | bytes) -> bool:
        """Somebody asked for this session or principal to be forgotten, at whatever time."""
        return bool(self.newest) and (subject in self._sessions or subject in self._principals)

    def covers(self, state: ExchangeState) -> bool:
        """This exchange is a forgotten subject's, from before it asked."""
        return self._is_before(self._asked(state.session, state.opened.principal_key), state.opened.wall_us)

    def _asked(self, session: uuid.UUID | None, principal_key: bytes | None) -> datetime | None:
        at = self._sessions.get(session) if session is not None else None
        if at is None and principal_key is not None:
            at = self._principals.get(principal_key)
        return at

    @staticmethod
    def _is_before(at: datetime | None, wall_us: int) -> bool:
        return at is not None and wall(wall_us) < at


def scrub(state: ExchangeState) -> None:
    """Leave nothing of an exchange but that it was: it can still be ended and counted."""
    opened = state.opened
    state.opened = type(opened)(
        exchange=opened.exchange, wall_us=opened.wall_us, mono_us=opened.mono_us, http_method=opened.http_method
    )
    state.requests, state.answers, state.event_ids, state.assigned = {}, {}, [], None
