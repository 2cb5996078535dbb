"""A worker's troubles are in its log when somebody looks there: each once, and again while it lasts."""

import json
from pathlib import Path

import pytest

from mcp_weir import log
from mcp_weir.app.telling import Telling
from mcp_weir.relay.settings import RelayStats
from mcp_weir.spool.writer import SpoolWriter
from spooling import call, writer_at

Captured = pytest.CaptureFixture[str]


class Worker:
    """What a relay counts, and a writer."""

    def __init__(self, root: Path, capsys: Captured) -> None:
        self.turned_away = self.errors = 0
        self.writer: SpoolWriter = writer_at(root, spool_max=1)
        self.telling = Telling(lambda: RelayStats(0, 0, 0, self.errors, 0, self.turned_away), self.writer)
        self._capsys = capsys

    def said(self) -> list[tuple[str, object]]:
        self.telling.look()
        logs = map(json.loads, self._capsys.readouterr().err.splitlines())
        return [(entry["event"], entry.get("times") or entry.get("why")) for entry in logs]


def test_a_blocked_spool_is_said_once_and_so_is_its_end(tmp_path: Path, capsys: Captured) -> None:
    worker = Worker(tmp_path, capsys)
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


def test_who_is_turned_away_and_what_could_not_be_read_is_said(tmp_path: Path, capsys: Captured) -> None:
    worker = Worker(tmp_path, capsys)
    worker.turned_away, worker.errors = 3, 1
    assert worker.said() == [("relay.turned_away", 3), ("relay.observer_failed", 1)]
    worker.turned_away = 10
    assert worker.said() == []
    worker.telling._next.clear()
    assert worker.said() == [("relay.turned_away", 7)]
    worker.writer.close()


def test_a_line_is_json_whatever_is_in_it_and_the_level_counts(capsys: Captured) -> None:
    log.configure("warning")
    try:
        log.info("part.quiet")
        log.warning("part.odd", where=Path("x"), text="two\nlines \x1b[2J")
        log.error("part.bad", n=3)
    finally:
        log.configure()
    odd, bad = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert odd.items() >= {"event": "part.odd", "level": "warning", "text": "two\nlines \x1b[2J"}.items()
    assert "x" in odd["where"] and bad["n"] == 3 and bad["timestamp"].endswith("Z")
