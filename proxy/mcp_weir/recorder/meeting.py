"""Where recorders meet: asks the database what others posted and how far they have read, and says the same of us."""

import time
import uuid
from datetime import timedelta

import psycopg

from mcp_weir.attribution.joins import Joiner
from mcp_weir.sinks import succession, waiting
from mcp_weir.sinks.batch import Batch
from mcp_weir.sinks.settler import Settler, forget_scopes

_ASK_EVERY_S = 0.25  # while something here waits for another exchange
_TELL_EVERY_S = 1.0
_SETTLE_EVERY_S = 0.2
_REST = 2  # settling takes at most a third of the recorder's time,
_REST_BEHIND = 15  # and a sixteenth while the spool is behind: rows first, then whose session they are
_SWEEP_EVERY_S = 10.0
_STRANGER_S = 2.0  # a session whose client is not known is not asked for again within
_GIVE_UP_AFTER = timedelta(minutes=10)  # a replica that is silent for longer holds back no verdict
_SETTLE_AFTER = timedelta(minutes=1)  # nor, for longer than this, the settling of derived sessions
_LATE_S = 10.0  # after connecting: until then others may be on their way back as well
_NEVER = timedelta(days=3650)


class Meeting:
    """One connection's life of it."""

    def __init__(
        self, conn: psycopg.Connection, recorder: uuid.UUID, joiner: Joiner, idle_window: timedelta
    ) -> None:
        self.watermark_us = 0  # unknown until our own streams are among those that it waits for
        self._told = False
        self._conn, self._recorder, self._joiner, self._idle_window = conn, recorder, joiner, idle_window
        self._settler = Settler(conn, idle_window)
        self._since_s = time.monotonic()
        self._next_ask = self._next_tell = self._next_sweep = self._next_look_over = 0.0
        self._settled_s, self._settling_s = 0.0, 0.0  # when the settler last ended, and how long it took
        self._strangers: dict[uuid.UUID, float] = {}
        conn.execute(
            "INSERT INTO weir.parameters (name, value) VALUES ('idle_window', %s) ON CONFLICT (name) DO UPDATE"
            " SET value = excluded.value WHERE weir.parameters.value <> excluded.value",
            (f"{idle_window.total_seconds()} seconds",))

    def due(self) -> bool:
        """It is time to meet, though nothing has passed."""
        now = time.monotonic()
        return now >= self._next_tell or (self._joiner.waits and now >= self._next_ask)

    def ask(self, batch: Batch) -> int:
        """Bring what others know to the joiner, before it settles.

        Returns the watermark up to which silence may be taken for an answer; 0 where nobody was asked this time.
        """
        now, joiner = time.monotonic(), self._joiner
        if self._told and now >= self._next_tell:
            self._look(now)
            self._next_ask = 0.0
        joiner.learn(waiting.load_handed_out(self._conn, joiner.operations_wanted()))
        for ident, session, event_id in joiner.continuations_wanted():
            found = waiting.continued(self._conn, session, event_id)
            if found is not None and found != ident:
                joiner.exchanges[ident].continues = found
        since_us = joiner.fallbacks.since_us
        if since_us is not None and now >= self._next_ask:
            for address, hello in waiting.greetings(self._conn, since_us):
                joiner.greeted(address, hello)
        asks = bool(joiner.waits) and now >= self._next_ask
        if asks:  # after the watermark: what others had read by it, they had posted by then
            self._next_ask = now + _ASK_EVERY_S
            self._strangers.clear()
            heard = waiting.posted_for(self._conn, self._recorder)
            batch.waits.received = [one for one in heard if joiner.receive(one)]
        self._introduce(now)
        return self.watermark_us if asks else 0

    def tell(self, batch: Batch, marks: dict[uuid.UUID, waiting.Mark]) -> None:
        """Say how far our streams have been read; once a second, and of a stream that has ended at once."""
        now = time.monotonic()
        ended = {stream: mark for stream, mark in marks.items() if mark.done}
        batch.waits.marks = ended
        if now >= self._next_tell:
            self._next_tell, self._told = now + _TELL_EVERY_S, True
            batch.waits.marks = marks
            batch.waits.alive = True

    def settle(self, fresh: bool, behind: bool) -> None:
        """Settle derived sessions, sooner when something `fresh` is queued. Not within a transaction."""
        began = time.monotonic()
        rest_s = max(_SETTLE_EVERY_S, (_REST_BEHIND if behind else _REST) * self._settling_s)
        if began < (self._settled_s + rest_s if fresh or behind else self._next_look_over):
            return
        watermark_us = waiting.watermark_us(self._conn, self._patience(_SETTLE_AFTER)) if self._told else 0
        self._settler.run(watermark_us)
        if began >= self._next_look_over:
            self._next_look_over = began + _TELL_EVERY_S
            succession.link(self._conn, self.watermark_us)
        if began >= self._next_sweep:
            self._next_sweep = began + _SWEEP_EVERY_S
            waiting.sweep(self._conn, self.watermark_us)
            forget_scopes(self._conn)
            succession.replace(self._conn, self.watermark_us, self._idle_window)
        self._settled_s = time.monotonic()
        self._settling_s = self._settled_s - began

    def _look(self, now: float) -> None:
        self.watermark_us = waiting.watermark_us(self._conn, self._patience(_GIVE_UP_AFTER))
        for session, at_us, closed_by in waiting.ended_sessions(self._conn, self._joiner.waiting_sessions()):
            self._joiner.session_ended(session, at_us, closed_by)
        if now >= self._next_sweep:
            for state in waiting.adopt(self._conn, self._recorder):
                self._joiner.load(state)

    def _patience(self, otherwise: timedelta) -> timedelta:
        return otherwise if time.monotonic() > self._since_s + _LATE_S else _NEVER

    def _introduce(self, now: float) -> None:
        strangers = {key for key in self._joiner.strangers() if self._strangers.get(key, 0.0) <= now}
        if not strangers:
            return
        self._strangers.update(dict.fromkeys(strangers, now + _STRANGER_S))
        for session, client in waiting.load_clients(self._conn, strangers).items():
            self._joiner.introduce(session, client)
