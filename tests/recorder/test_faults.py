"""Recording while things break: killed workers and recorders, a full disk, a Postgres that is frozen, cut or gone."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mcp_weir.recorder.drain import Recorder
from mcp_weir.store import migrate
from mcp_weir.store.embedded import EmbeddedPostgres
from spooling import call, count, drain, query, recording, spool, wait, writer_at
from weir_process import free_port

WORKER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from spooling import call, now_us, spool, writer_at
writer = writer_at(Path(sys.argv[1]))
number = 0
while True:
    line = call(number)
    if number % 7 == 6:  # one that is still running when the end comes
        writer.seen(line[0].wall_us // 60_000_000)
        writer.offer(line[:2], line[0].wall_us // 60_000_000)
    else:
        spool(writer, line)
    print(number, flush=True)
    number += 1
    if number % 50 == 0:
        writer.heartbeat(now_us())
"""
RECORDER = """
import sys, threading
from pathlib import Path
from mcp_weir.recorder.drain import Recorder
Recorder(sys.argv[1], Path(sys.argv[2]), poll_s=0.01).run(threading.Event())
"""
HERE = str(Path(__file__).parent.parent)


def sums(url: str) -> dict[str, int]:
    names = ("seen", "stored", "spooled", "open", "dropped", "quarantined")
    columns = ", ".join(f"coalesce(sum({name}), 0)::bigint" for name in names)
    return dict(zip(names, query(url, f"SELECT {columns} FROM weir.coverage")[0], strict=True))


def adds_up(url: str) -> bool:
    found = sums(url)
    return found["seen"] == sum(found.values()) - found["seen"]


def kill_after(script: str, lines: int, *args: str) -> int:
    """Run it until it has printed so many lines, kill -9, and say which number it printed last."""
    child = subprocess.Popen([sys.executable, "-c", script, *args], stdout=subprocess.PIPE)
    assert child.stdout is not None
    for _ in range(lines):
        last = child.stdout.readline()
    child.kill()
    rest = child.stdout.read().split(b"\n")
    child.stdout.close()
    child.wait()
    return int(([last, *rest][-2] if len(rest) > 1 else last).strip())


def test_killed_workers_lose_nothing_they_had_said(database_url: str, tmp_path: Path) -> None:
    said = [kill_after(WORKER, 100 + 40 * life, str(tmp_path), HERE) + 1 for life in range(5)]
    drain(database_url, tmp_path, lambda: adds_up(database_url) and not list(tmp_path.glob("*/*.seg")))
    found = dict(query(database_url, "SELECT outcome, count(*) FROM weir.requests GROUP BY 1"))
    whole = sum(n - n // 7 for n in said)
    assert whole <= found["ok"] <= whole + len(said)  # killed between its write and its word
    assert sum(n // 7 for n in said) <= found["interrupted"] <= sum(n // 7 for n in said) + len(said)
    now = sums(database_url)
    assert now["seen"] == now["stored"] + now["dropped"] and now["open"] == now["spooled"] == 0
    assert now["dropped"] <= len(said)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_recorder_killed_again_and_again_writes_each_row_once(database_url: str, tmp_path: Path) -> None:
    writer, written = writer_at(tmp_path, segment_bytes=40_000), 0
    for _ in range(4):
        child = subprocess.Popen([sys.executable, "-c", RECORDER, database_url, str(tmp_path)])
        before = count(database_url, "request_rows")
        deadline = time.monotonic() + 20
        while count(database_url, "request_rows") < before + 200 and time.monotonic() < deadline:
            for _ in range(50):
                spool(writer, call(written))
                written += 1
            assert adds_up(database_url)
        child.kill()
        child.wait()
    drain(database_url, tmp_path, lambda: count(database_url, "request_rows") >= written)
    numbers = [int(row[0]) for row in query(database_url, "SELECT jsonrpc_id FROM weir.request_rows")]
    assert sorted(numbers) == list(range(written))
    assert query(database_url, "SELECT sum(requests) FROM weir.total_minute") == [(written,)]
    assert sums(database_url)["stored"] == sums(database_url)["seen"] == written
    writer.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    if os.geteuid() != 0:
        pytest.skip("mounting a tmpfs needs root")
    folder = tmp_path / "disk"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(folder)], check=False).returncode:
        pytest.skip("no tmpfs can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.slow
def test_a_full_disk_is_counted_exactly_and_recording_resumes_alone(database_url: str, small_disk: Path) -> None:
    root = small_disk / "spool"
    root.mkdir()
    writer, number, kept = writer_at(root), 0, 0
    while number < 20_000:  # no recorder: about 15 MB for 6 MB
        kept += spool(writer, call(number))
        number += 1
    ballast = small_disk / "ballast"
    with contextlib.suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(65_536))
            file.flush()
    for _ in range(200):  # not a byte is left
        kept += spool(writer, call(number))
        number += 1
    assert 1000 < kept < number
    with recording(database_url, root):
        wait(lambda: count(database_url, "request_rows") == kept)
        wait(lambda: adds_up(database_url) and sums(database_url)["stored"] == kept)
        assert sums(database_url)["dropped"] == number - kept
        ballast.unlink()
        time.sleep(1.1)  # the writer looks at the disk each second
        writer.heartbeat(time.time_ns() // 1000)
        resumed = sum(spool(writer, call(number + n)) for n in range(100))
        assert resumed == 100
        wait(lambda: count(database_url, "request_rows") == kept + 100)
    gaps = query(database_url, "SELECT sum(dropped) FROM weir.gaps")
    assert gaps == [(number - kept,)]
    assert query(database_url, "SELECT count(*) FROM weir.requests WHERE outcome <> 'ok'") == [(0,)]
    writer.close()


@pytest.fixture
def own_postgres() -> Iterator[tuple[str, int]]:
    """A Postgres that may be hurt: its URL and its postmaster's pid."""
    folder = Path(tempfile.mkdtemp(prefix="weir-pg-"))
    server = EmbeddedPostgres(folder)
    url = server.start()
    with psycopg.connect(url, autocommit=True) as conn:
        migrate.migrate(conn)
    pid = int((folder / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])
    yield url, pid
    for member in family(pid):
        with contextlib.suppress(OSError):
            os.kill(member, signal.SIGCONT)
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


def family(parent: int) -> list[int]:
    found = [parent]
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found.append(int(pid))
    return found


@pytest.mark.slow
def test_a_frozen_postgres_keeps_nobody_from_ending_and_loses_nothing(
    own_postgres: tuple[str, int], tmp_path: Path
) -> None:
    url, pid = own_postgres
    writer = writer_at(tmp_path)
    spool(writer, call(0))
    recorder, stop = Recorder(url, tmp_path, poll_s=0.02), threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop,), daemon=True)
    thread.start()
    wait(lambda: recorder.state.rows == 1)
    for frozen in family(pid):
        os.kill(frozen, signal.SIGSTOP)
    for number in range(1, 200):
        spool(writer, call(number))
    time.sleep(1)
    began = time.monotonic()
    stop.set()
    thread.join(20)
    assert not thread.is_alive() and time.monotonic() - began < 10
    for frozen in family(pid):
        os.kill(frozen, signal.SIGCONT)
    drain(url, tmp_path, lambda: count(url, "request_rows") >= 200)
    assert count(url, "request_rows") == 200
    writer.close()


@pytest.mark.slow
def test_terminated_backends_lose_nothing(own_postgres: tuple[str, int], tmp_path: Path) -> None:
    url, _ = own_postgres
    writer, written = writer_at(tmp_path), 0
    with recording(url, tmp_path) as recorder:
        for _ in range(10):
            for _ in range(100):
                spool(writer, call(written))
                written += 1
            time.sleep(0.05)
            query(url, "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                       " WHERE application_name = 'mcp-weir' AND pid <> pg_backend_pid()")
        wait(lambda: count(url, "request_rows") >= written)
        assert recorder.state.connected
    numbers = [int(row[0]) for row in query(url, "SELECT jsonrpc_id FROM weir.request_rows")]
    assert sorted(numbers) == list(range(written))
    writer.close()


def test_a_database_that_is_not_there_stops_nothing_and_says_so(tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    spool(writer, call(1))
    with recording(f"postgresql://postgres@127.0.0.1:{free_port()}/none", tmp_path) as recorder:
        wait(lambda: recorder.state.last_error is not None)
        wait(lambda: recorder.state.lag_bytes > 0 and recorder.state.oldest_unacked_s > 0)
        assert not recorder.state.connected
    writer.close()
