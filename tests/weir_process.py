"""The example server and the weir as real processes on free ports, for tests that look from outside.

    with start_example("--json") as example, start_weir(example.url, tmp_path, database_url) as weir:
        ... Client(weir.url) ...
        wait_until(lambda: query(database_url, "SELECT count(*) FROM weir.requests") == [(3,)])
"""

import contextlib
import dataclasses
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg

START_S = 30
STOP_S = 40
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclasses.dataclass(slots=True)
class Running:
    """One process: where it listens, and what it wrote."""

    port: int
    child: subprocess.Popen[bytes]
    log: Path | None = None
    admin_port: int | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/mcp"

    def get(self, path: str, port: int | None = None) -> Any:
        """The JSON at a path of this process (the example's /stats, the weir's admin port)."""
        with _DIRECT.open(f"http://127.0.0.1:{port or self.port}{path}", timeout=5) as answer:
            return json.load(answer)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it, wait, return its exit code; kills what does not end in STOP_S."""
        if self.child.poll() is None:
            self.child.send_signal(number)
        try:
            return self.child.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()
            raise


def free_port() -> int:
    """A port that nobody listens on just now, below those the kernel hands to connections and to `bind(0)`."""
    while True:
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", random.randrange(12_000, 32_000)))
            return int(sock.getsockname()[1])


def wait_for_port(port: int, child: subprocess.Popen[bytes] | None = None, timeout: float = START_S) -> None:
    """Until something listens; fails at once when the child has ended."""

    def listens() -> bool:
        assert child is None or child.poll() is None, f"ended with {child.returncode} before it listened"
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            return False
        return True

    wait_until(listens, timeout, f"nothing listens on {port}")


def wait_until(holds: Callable[[], bool], timeout: float = 15, says: str = "did not come true") -> None:
    """Ask again and again, for so many seconds at most."""
    deadline = time.monotonic() + timeout
    while not holds():
        assert time.monotonic() < deadline, f"{says} within {timeout} s"
        time.sleep(0.05)


def query(url: str, sql: str, *params: Any) -> list[tuple[Any, ...]]:
    """All rows of one statement."""
    with psycopg.connect(url) as conn:
        return conn.execute(sql, params).fetchall()


def start_example(*flags: str, port: int | None = None) -> contextlib.AbstractContextManager[Running]:
    """The example server; its flags as in `python -m mcp_weir_example --help`."""
    port = port or free_port()
    return start_server(port, "-m", "mcp_weir_example", "--port", str(port), *flags)


@contextlib.contextmanager
def start_server(port: int, *words: str) -> Iterator[Running]:
    """What Python runs with these words, and listens on that port then."""
    child = subprocess.Popen([sys.executable, *words])
    running = Running(port, child)
    try:
        wait_for_port(port, child)
        yield running
    finally:
        running.stop()


@contextlib.contextmanager
def start_weir(
    upstream: str, folder: Path, database_url: str | None, *flags: str, env: dict[str, str] | None = None
) -> Iterator[Running]:
    """`mcp-weir up` with its data and its log (stdout and stderr) in `folder`; no URL: the embedded Postgres.

    Leaving the block ends it with SIGTERM and asserts exit 0, unless it has ended already.
    """
    port, admin = free_port(), free_port()
    command = [
        sys.executable, "-m", "mcp_weir", "up", "--upstream", upstream, "--listen", f"127.0.0.1:{port}",
        "--admin", f"127.0.0.1:{admin}", "--data-dir", str(folder / "data"), *flags,
    ]
    said = {"WEIR_DATABASE_URL": database_url} if database_url else {}
    log = folder / "weir.log"
    with log.open("ab") as out:
        child = subprocess.Popen(command, env={**os.environ, **said, **(env or {})}, stdout=out, stderr=out)
    running = Running(port, child, log, admin)
    try:
        wait_for_port(port, child)
        yield running
    except BaseException:
        print(log.read_text(errors="replace")[-4000:])
        raise
    finally:
        ended = child.poll() is not None
        code = running.stop()
        assert ended or code == 0, f"exit {code}: {log.read_text(errors='replace')[-4000:]}"
