"""The recorder: spool to Postgres, exactly once, retrying for ever. Runs on a thread of its own.

The position in the spool lives in Postgres alone and moves in the transaction that writes the rows, so a
crash on either side, or a connection cut between COMMIT and its answer, changes nothing. After any trouble everything
is read anew from what the ledger says.
"""

import contextlib
import dataclasses
import os
import socket
import threading
import time
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from mcp_weir import log
from mcp_weir.errors import SchemaTooNew, StoreError
from mcp_weir.recorder.intake import Intake
from mcp_weir.recorder.saying import said_of, where
from mcp_weir.recorder.state import State
from mcp_weir.sinks import poison, waiting
from mcp_weir.sinks.batch import Batch
from mcp_weir.sinks.postgres import LedgerMoved, PostgresSink, SessionGone, TombstonesMoved
from mcp_weir.sinks.sink import Sink
from mcp_weir.sinks.waiting import Taken
from mcp_weir.spool.budget import held_bytes
from mcp_weir.store import connect, migrate

_BACKOFF_S = (0.1, 5.0)
_HOPELESS_S = 5.0
_REST, _REST_MAX_S = 6, 1.0  # between batches that are not full: as many times what the last one took
_STUCK_S = 45.0  # beyond every timeout that the server itself keeps
_LAST_S = 6.0  # after stop: what a database that does not answer gets


class Recorder:
    """Drains one data directory's spool into one database. `state` may be read from any thread."""

    def __init__(
        self, database_url: str, spool_root: Path, *, idle_window_s: float = 1800, poll_s: float = 0.05,
        sinks: Sequence[Sink] = (),
    ) -> None:
        self.state = State(passed_at_s=time.monotonic())
        self._url, self._root = database_url, spool_root
        self._idle_window, self._poll_s = timedelta(seconds=idle_window_s), poll_s
        self._sinks = sinks  # told after the commit; only Postgres acknowledges
        self._caution = 0  # grows with every failure that is nobody's but a line's: batches get smaller
        self._condemned: set[tuple[object, int]] = set()  # (segment, position) of lines that break the joins
        self._conn: psycopg.Connection | None = None
        self._was: uuid.UUID | None = None  # who we were to the others, on the last connection

    def run(self, stop: threading.Event) -> None:
        """Drain until `stop` is set; then once more what is already spooled. Never raises."""
        watch = threading.Thread(target=self._watch, args=(stop,), name="recorder-watch", daemon=True)
        watch.start()
        pause = _BACKOFF_S[0]
        while not stop.is_set():
            commits = self.state.batches
            try:
                with connect.connect(self._url, autocommit=True) as conn:
                    self._conn = conn
                    self._serve(conn, stop)
            except (LedgerMoved, TombstonesMoved, SessionGone, Taken) as moved:
                pause = _BACKOFF_S[0]
                log.info("recorder.reread", why=type(moved).__name__)
            except Exception as error:  # the recorder loop: one of the three places where a broad except stands
                pause = _BACKOFF_S[0] if self.state.batches > commits else min(pause * 2, _BACKOFF_S[1])
                self._failed(error, pause)
            finally:
                self._conn = None
            self._measure()
            stop.wait(pause)

    def _serve(self, conn: psycopg.Connection, stop: threading.Event) -> None:
        migrate.migrate(conn)
        sink = PostgresSink(conn, keep_rows=any(sink.wants_rows for sink in self._sinks))
        # what it left open on an earlier connection is nobody's now, and is adopted at once
        waiting.leave(conn, self._was)
        self._was = sink.recorder
        intake = Intake(conn, sink, self._root, self._idle_window, frozenset(self._condemned))
        if self.state.last_error is not None:
            log.info("recorder.connected", spooled_bytes=self.state.lag_bytes, hint="goes on with what is spooled")
        self._say(connected=True, last_error=None, schema_problem=None)
        ends = float("inf")
        while True:
            stopping = stop.is_set()
            began = time.monotonic()
            moved = self._step(intake)
            took_s = time.monotonic() - began
            if stopping:
                ends = min(ends, time.monotonic() + _LAST_S)
            if time.monotonic() >= ends or (stopping and not moved):
                return
            if not moved:
                stop.wait(self._poll_s)
            elif not intake.behind:  # a batch of a few rows costs as much as one of a hundred: let more gather
                stop.wait(min(_REST_MAX_S, _REST * took_s))

    def _step(self, intake: Intake) -> bool:
        self._say(passed_at_s=time.monotonic())
        try:
            batch = intake.next_batch(self._caution)
            if batch is None:
                self._settle_down(intake, None)
                return False
            intake.write(batch)
        except MemoryError:
            self._make_do()
            raise
        except Exception as error:
            if not _is_the_databases(error):
                self._suspect(intake.position, error)
            raise
        self._settle_down(intake, batch)
        self._tell(batch)
        return intake.busy

    def _tell(self, batch: Batch) -> None:
        for sink in self._sinks:
            try:
                sink.wrote(batch)
            except Exception as error:  # part of the recorder loop's guard: best effort means that nothing else fails
                log.warning("recorder.sink_failed", sink=type(sink).__name__, error=type(error).__name__)

    def _make_do(self) -> None:
        """No line is to blame: a smaller batch needs less memory. Where none for a single line is left, begin anew.

        Whoever started us does so again, and what is in memory follows from the ledger: nothing has to be saved.
        """
        log.error("recorder.no_memory", caution=self._caution, hint="give it more; traffic is spooled meanwhile")
        if self._caution >= Intake.SINGLE:
            os._exit(1)
        self._caution += 1

    def _suspect(self, position: tuple[object, int] | None, error: Exception) -> None:
        """A line that we cannot digest: find it by ever smaller batches, then leave it to quarantine."""
        if self._caution >= Intake.SINGLE and position is not None:
            self._condemned.add(position)
            self._caution = 0
        else:
            self._caution += 1
        log.error("recorder.indigestible", error=type(error).__name__, caution=self._caution, at=where(error))

    def _settle_down(self, intake: Intake, batch: Batch | None) -> None:
        """Say what was committed."""
        now, lag = time.monotonic(), intake.unread_bytes()
        behind = self.state.behind_since_s if self.state.behind_since_s is not None else now
        if batch is None:
            self._say(lag_bytes=lag, behind_since_s=behind if lag > 0 and intake.busy else None)
            return
        old, quick = self.state, len(batch.packed.rows)
        self._say(
            rows=old.rows + len(batch.rows) + quick, quick=old.quick + quick, lines=old.lines + intake.lines,
            batches=old.batches + 1, quarantined=old.quarantined + len(batch.quarantine),
            damaged_lines=old.damaged_lines + intake.damaged,
            torn_bytes=old.torn_bytes + intake.torn_bytes, lag_bytes=lag, behind_since_s=behind if lag > 0 else None,
            committed_at=datetime.now(UTC), watermark=intake.watermark, streams=intake.streams,
            strange=intake.strange,
        )
        if intake.quiet_lines > Intake.CALM_LINES:
            self._caution = 0

    def _failed(self, error: Exception, pause: float) -> None:
        hopeless = isinstance(error, SchemaTooNew) or poison.stops_the_drain(error)
        if hopeless:
            log.error("recorder.schema", error=said_of(error), hint="recording waits; traffic is spooled meanwhile")
        else:
            log.warning("recorder.retry", error=said_of(error), pause_s=pause)
        self._say(connected=False, last_error=said_of(error), schema_problem=said_of(error) if hopeless else None)

    def _measure(self) -> None:
        """While the database is away: what has gathered."""
        if self.state.connected:
            return
        held = 0
        with contextlib.suppress(OSError):
            held = held_bytes(self._root)
        behind = self.state.behind_since_s if self.state.behind_since_s is not None else time.monotonic()
        self._say(lag_bytes=held, behind_since_s=behind if held else None, passed_at_s=time.monotonic())

    def _watch(self, stop: threading.Event) -> None:
        """A frozen server answers nothing, not even its own timeouts: break the connection off from outside."""
        ended: float | None = None
        while ended is None or time.monotonic() < ended + _LAST_S + 2:
            if ended is None:
                stop.wait(1)
                ended = time.monotonic() if stop.is_set() else None
            else:
                time.sleep(0.2)
            overdue = ended is not None and time.monotonic() > ended + _LAST_S
            if overdue or self.state.stuck_s > _STUCK_S:
                _break_off(self._conn)
                self._say(passed_at_s=time.monotonic())

    def _say(self, **changes: object) -> None:
        self.state = dataclasses.replace(self.state, **changes)  # type: ignore[arg-type]


def _is_the_databases(error: Exception) -> bool:
    return isinstance(error, psycopg.Error | StoreError | OSError | LedgerMoved | TombstonesMoved | SessionGone | Taken)


def _break_off(conn: psycopg.Connection | None) -> None:
    if conn is None:
        return
    with contextlib.suppress(OSError, psycopg.Error):
        with socket.socket(fileno=os.dup(conn.fileno())) as sock:
            sock.shutdown(socket.SHUT_RDWR)
    log.error("recorder.broke_off", hint="the database does not answer")
