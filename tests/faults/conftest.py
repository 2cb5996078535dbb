"""The laboratory's furniture, and the table of promises at the end of a run."""

import asyncio
import contextlib
import dataclasses
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from faults.lab import processes, records, table
from faults.lab.load import Call, Ledger, once
from faults.lab.postgres import Postgres
from faults.lab.toxic import ToxicProxy
from faults.lab.upstream import Upstream
from faults.lab.weir import Weir, running


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the table goes besides the terminal."""
    parser.addoption("--promises-json", type=Path, help="write the table of promises as JSON")
    parser.addoption("--promises-markdown", type=Path, help="write the table of promises as Markdown")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """promise, goal, measured, bites."""
    if not table.ROWS:
        return
    terminalreporter.section("promises")
    terminalreporter.write_line(table.text())
    if path := config.getoption("--promises-json"):
        table.write_json(path)
    if path := config.getoption("--promises-markdown"):
        path.write_text(table.document(path.read_text() if path.exists() else "", _without_verdict(terminalreporter)))


def _without_verdict(terminalreporter: pytest.TerminalReporter) -> list[str]:
    """Tests that failed elsewhere than in the judge."""
    reports = [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]
    where = [(report, getattr(report.longrepr, "reprcrash", None)) for report in reports]
    return [report.nodeid.rpartition("/")[2] for report, crash in where
            if crash is None or not str(crash.path).endswith("table.py")]


@dataclasses.dataclass(frozen=True, slots=True)
class Laboratory:
    """A weir between a load generator and an upstream; a toxic proxy between the weir and Postgres."""

    upstream: Upstream
    weir: Weir
    postgres: Postgres
    wire: ToxicProxy
    url: str  # the database, by the straight way

    def kill_recorder(self) -> int:
        """kill -9; returns how many were there."""
        return processes.send(signal.SIGKILL, *self.weir.pids("recorder"))

    def kill_relay(self) -> int:
        """kill -9 of every worker; returns how many were there."""
        return processes.send(signal.SIGKILL, *self.weir.pids("relay"))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One cluster for the run; a database for each test."""
    server = Postgres()
    try:
        server.start()
        yield server
    finally:
        server.close()


@pytest.fixture
def laboratory(
    postgres: Postgres, tmp_path: Path
) -> Callable[..., contextlib.AbstractAsyncContextManager[Laboratory]]:
    """`async with laboratory(**settings) as lab`: everything runs, and one call has been recorded."""

    @contextlib.asynccontextmanager
    async def set_up(**settings: object) -> AsyncIterator[Laboratory]:
        name = postgres.database()
        async with Upstream().serve() as upstream, ToxicProxy(postgres.port).serve() as wire:
            with running(upstream.port, postgres.url(name, wire.port), tmp_path, **settings) as weir:
                lab = Laboratory(upstream, weir, postgres, wire, postgres.url(name))
                await _first_call(lab)
                yield lab

    return set_up


async def _first_call(lab: Laboratory) -> None:
    ledger = Ledger({"first": Call("first", "first", 0.0)})
    await once(lab.weir.port, ledger.calls["first"])
    assert ledger.count("answered") == 1, ledger.troubles()
    deadline = time.monotonic() + 60
    while not await asyncio.to_thread(_recorded, lab.url):
        assert time.monotonic() < deadline, lab.weir.log.read_text()[-2000:]
        await asyncio.sleep(0.1)


def _recorded(url: str) -> bool:
    try:
        return bool(records.query(url, "SELECT 1 FROM weir.requests WHERE outcome <> 'running'"))
    except psycopg.Error:
        return False  # no schema yet
