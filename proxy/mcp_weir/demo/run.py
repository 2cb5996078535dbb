"""The demo from start to end: processes, clients, the wait for the record, the verdict, and traffic that goes on."""

import asyncio
import contextlib
import dataclasses
import itertools
import random
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from mcp_weir.demo import cast, processes, records, stage
from mcp_weir.demo.judge import Verdict, judge
from mcp_weir.demo.processes import Addresses
from mcp_weir.demo.show import Show

_SETTLE_S = 45.0
_POLL_S = 0.5
_STEADY = 2  # looks more after the record was complete: a row too many may come late
_ENCORE_PAUSE_S = (0.5, 4.0)


@dataclasses.dataclass(frozen=True, slots=True)
class Options:
    """What the command line asked for. Without a data directory a temporary one is used and removed."""

    once: bool
    data_dir: Path | None = None
    database_url: str | None = None
    seed: int = 0
    pace: float = 1.0


def run(options: Options, show: Show) -> dict[str, Any] | None:
    """Play it; returns what `demo --json` prints, or None when it was interrupted before the verdict.

    Raises WeirError where something does not start.
    """
    stage.quiet()
    with _folder(options.data_dir) as folder, processes.running(folder, options.database_url, show.at) as addresses:
        return asyncio.run(_evening(options, addresses, show))


async def _evening(options: Options, addresses: Addresses, show: Show) -> dict[str, Any] | None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    show.open(addresses)
    play = stage.Stage(addresses.url, addresses.server_url, seed=options.seed, pace=options.pace)
    with show.progress(len(cast.parts())) as bars:
        if not await _unless(stop, play.play_all(cast.parts(), lambda _: bars.ended(play.count()))):
            return None
        verdict, sessions = await _settled(play, addresses, bars.recorded)
    report = _report(verdict, sessions, addresses)
    show.summary(report, verdict)
    if not options.once:
        show.goes_on(addresses)
        await _unless(stop, _encore(options, addresses))
    return report


async def _settled(
    play: stage.Stage, addresses: Addresses, seen: Callable[[int], None]
) -> tuple[Verdict, dict[str, int]]:
    """The verdict once the record is complete and has stayed so for a second, or as it stands after 45 s."""
    server = await asyncio.to_thread(processes.server_count, addresses)
    deadline = time.monotonic() + _SETTLE_S
    steady = 0
    while True:
        rows = await asyncio.to_thread(records.rows, addresses)
        sessions = await asyncio.to_thread(records.sessions, addresses)
        verdict = judge(play.ledgers, rows, sessions, server, play.broken)
        seen(verdict.recorded["requests"])
        steady = steady + 1 if verdict.equal else 0
        if steady > _STEADY or time.monotonic() > deadline:
            return verdict, sessions
        await asyncio.sleep(_POLL_S)


async def _encore(options: Options, addresses: Addresses) -> None:
    """Gentle traffic without end; a conversation that fails (the weir going away) is nobody's concern."""
    rng = random.Random(options.seed)
    for number in itertools.count():
        play = stage.Stage(addresses.url, addresses.server_url, pace=2 * options.pace)
        with contextlib.suppress(Exception):
            await play.play(rng.choice(cast.parts()), random.Random(number))
        await asyncio.sleep(rng.uniform(*_ENCORE_PAUSE_S))


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Whether the work ended before `stop`; if not, it is cancelled."""
    task, stopped = asyncio.create_task(work), asyncio.create_task(stop.wait())
    await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if task.done():
        await task
        return True
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    return False


def _report(verdict: Verdict, sessions: dict[str, int], addresses: Addresses) -> dict[str, Any]:
    return {
        "sent": verdict.sent,
        "recorded": verdict.recorded,
        "missing": verdict.missing,
        "duplicates": verdict.duplicates,
        "wrong": verdict.wrong,
        "differences": verdict.differences,
        "sessions": {"legacy": sessions.get("legacy", 0), "modern": sessions.get("modern", 0)},
        "dashboard": addresses.dashboard,
    }


@contextlib.contextmanager
def _folder(data_dir: Path | None) -> Iterator[Path]:
    if data_dir is not None:
        yield data_dir
        return
    made = Path(tempfile.mkdtemp(prefix="mcp-weir-demo-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)
