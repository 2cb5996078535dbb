"""The product as an operator runs it: processes started from the command line, looked at from outside."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from faults.lab import processes
from weir_process import free_port

_START_S = 60.0


class Weir:
    """One `mcp-weir` process with its children. `port` is where clients connect."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, admin: int, data: Path, log: Path) -> None:
        self.process, self.port, self.admin, self.data, self.log = process, port, admin, data, log

    def pids(self, part: str) -> list[int]:
        """Children that run this command: `relay` or `recorder`."""
        return [pid for pid in processes.children(self.process.pid) if part in processes.command(pid)]

    @property
    def relay(self) -> int:
        """The relay's process id where there is one."""
        return self.pids("relay")[0]

    def restarts(self) -> int:
        """How often the supervisor says that it restarted a child."""
        return self.log.read_bytes().count(b"supervisor.restart")

    def stop(self, timeout: float = 40) -> int:
        """SIGTERM; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            processes.send(signal.SIGKILL, *processes.children(self.process.pid), self.process.pid)
            self.process.wait()
            raise


@contextlib.contextmanager
def running(
    upstream: int, database_url: str | None, home: Path, *, data: Path | None = None, command: str = "up",
    **settings: object,
) -> Iterator[Weir]:
    """`mcp-weir up` before an upstream; settings go by WEIR_* variables, names with a dot to the environment as is."""
    temporary = home / "tmp"
    temporary.mkdir(parents=True, exist_ok=True)
    port, admin, log = free_port(), free_port(), home / "weir.log"
    said = {
        "upstream": f"http://127.0.0.1:{upstream}/mcp", "listen": f"127.0.0.1:{port}", "admin": f"127.0.0.1:{admin}",
        "data_dir": data or home / "data", "database_url": database_url, **settings,
    }
    environment = {f"WEIR_{name.upper()}": str(value) for name, value in said.items() if value is not None}
    with log.open("wb") as file:
        process = subprocess.Popen(
            [sys.executable, "-m", "mcp_weir", command], stdout=file, stderr=file, cwd=home, env=_clean() | environment
            | {"TMPDIR": str(temporary)},
        )
    weir = Weir(process, port, admin, Path(str(said["data_dir"])), log)
    try:
        _wait(weir)
        yield weir
    finally:
        weir.stop()


def _clean() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if not key.startswith(("WEIR_", "PG"))}


def _wait(weir: Weir) -> None:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and weir.process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", weir.port), 1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the weir did not start: {weir.log.read_text()[-2000:]}")
