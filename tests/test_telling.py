"""A worker's troubles are in its log when somebody looks there: each once, and again while it lasts."""

from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from mcp_weir.app import telling
from mcp_weir.app.telling import Telling
from mcp_weir.relay.settings import RelayStats
from mcp_weir.spool.writer import SpoolWriter
from spooling import call, writer_at


class Worker:
    """What a relay counts, and a writer."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.turned_away = self.errors = 0
        self.writer: SpoolWriter = writer_at(root, spool_max=1)
        monkeypatch.setattr(telling, "log", structlog.get_logger())  # not the one that another test's process made
        self.telling = Telling(lambda: RelayStats(0, 0, 0, self.errors, 0, self.turned_away), self.writer)

    def said(self) -> list[tuple[str, object]]:
        with capture_logs() as logs:
            self.telling.look()
        return [(entry["event"], entry.get("times") or entry.get("why")) for entry in logs]


def test_a_blocked_spool_is_said_once_and_so_is_its_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(tmp_path, monkeypatch)
    assert worker.said() == []
    worker.writer._budget._next_check = 0.0
    assert not worker.writer.offer(call(1), 7)
    assert worker.said() == [("spool.blocked", "the spool holds --spool-max; is the database away?")]
    assert worker.said() == []
    worker.telling._next.clear()  # a minute later
    assert [event for event, _ in worker.said()] == ["spool.blocked"]
    worker.writer._budget.blocked = None
    assert [event for event, _ in worker.said()] == ["spool.unblocked"]
    assert worker.said() == []
    worker.writer.close()


def test_who_is_turned_away_and_what_could_not_be_read_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(tmp_path, monkeypatch)
    worker.turned_away, worker.errors = 3, 1
    assert worker.said() == [("relay.turned_away", 3), ("relay.observer_failed", 1)]
    worker.turned_away = 10
    assert worker.said() == []
    worker.telling._next.clear()
    assert worker.said() == [("relay.turned_away", 7)]
    worker.writer.close()
