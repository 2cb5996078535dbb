"""The demo's processes: the example server and the weir, started as anybody would start them, on free ports."""

import contextlib
import dataclasses
import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

from mcp_weir.errors import WeirError

_START_S = 60.0
_STOP_S = 40.0
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclasses.dataclass(frozen=True, slots=True)
class Addresses:
    """Where everything is. URLs are what clients are given; `stats` is the server's own account."""

    url: str
    server_url: str
    stats: str
    dashboard: str
    database_url: str
    service: str  # of this run alone: the database may hold the rows of earlier ones


@contextlib.contextmanager
def running(data_dir: Path, database_url: str | None, chosen: Callable[[str], None]) -> Iterator[Addresses]:
    """Example server and weir, up and accepting; both are ended when the block is left.

    `chosen` is told the dashboard's address before anything starts. Raises WeirError with the last line that a process
    said when it does not start.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    server, listen, admin = (f"127.0.0.1:{port}" for port in _free_ports(3))
    chosen(f"http://{admin}/")
    service = f"demo-{time.strftime('%H%M%S')}"
    env = {**os.environ, "WEIR_DATA_DIR": str(data_dir), "WEIR_SERVICE": service, "WEIR_KEEP_PRINCIPAL": "true"}
    if database_url:
        env["WEIR_DATABASE_URL"] = database_url
    example = [sys.executable, "-m", "mcp_weir_example", "--port", server.rpartition(":")[2], "--event-store"]
    weir = [
        sys.executable, "-m", "mcp_weir", "up", "--upstream", f"http://{server}/mcp", "--listen", listen,
        "--admin", admin, "--workers", "2", "--log-level", "warning",
    ]
    with _child(example, data_dir / "server.log", env) as one, _child(weir, data_dir / "weir.log", env) as other:
        _wait_for(one, server)
        _wait_for(other, listen)
        yield Addresses(
            url=f"http://{listen}/mcp", server_url=f"http://{server}/mcp", stats=f"http://{server}/stats",
            dashboard=f"http://{admin}/", database_url=database_url or _database_url(env), service=service,
        )


def server_count(addresses: Addresses) -> dict[str, int]:
    """Requests by method, as the example server counted them."""
    with _DIRECT.open(addresses.stats, timeout=5) as answer:
        found: dict[str, int] = json.load(answer)["requests"]
    return found


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for sock in sockets:
            sock.bind(("127.0.0.1", 0))
        return [int(sock.getsockname()[1]) for sock in sockets]


@dataclasses.dataclass(frozen=True, slots=True)
class _Child:
    module: str
    process: subprocess.Popen[bytes]
    log: Path


@contextlib.contextmanager
def _child(command: list[str], log: Path, env: dict[str, str]) -> Iterator[_Child]:
    # A session of its own: Ctrl-C reaches the demo alone, which ends its children in order.
    with log.open("wb") as out:
        process = subprocess.Popen(
            command, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield _Child(command[2], process, log)
    finally:
        process.terminate()
        try:
            process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(child: _Child, address: str) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + _START_S
    while child.process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection((host, int(port)), 1).close()
            return
        time.sleep(0.05)
    said = child.log.read_text(errors="replace").strip().splitlines() or ["it said nothing"]
    raise WeirError(f"{child.module} did not start: {said[-1].removeprefix('mcp-weir: ')}")


def _database_url(env: dict[str, str]) -> str:
    command = [sys.executable, "-m", "mcp_weir", "db", "url"]
    asked = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_START_S)
    if asked.returncode != 0:
        raise WeirError(f"no database: {asked.stderr.strip().removeprefix('mcp-weir: ')}")
    return asked.stdout.strip()
