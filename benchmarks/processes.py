"""What a benchmark runs: pinned processes, nginx and HAProxy configured, the weir, a plain aiohttp proxy."""

import contextlib
import dataclasses
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

HERE = Path(__file__).parent
COMPILED = str(HERE.parent / ".compiled" / "bin" / "python")  # `make compiled` puts it there
ANSWER = (
    '{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"The sum of 1 and 2 is 3."}],'
    '"structuredContent":{"result":3},"isError":false}}'
)


@dataclasses.dataclass(slots=True)
class Running:
    """A started contestant: where it listens, and the processes whose CPU and memory are its own."""

    port: int
    pids: list[int]
    home: Path | None = None

    def cpu_s(self) -> float:
        """Seconds of CPU used so far, user and system."""
        ticks = 0
        for pid in self.pids:
            with contextlib.suppress(FileNotFoundError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def cpu_ms_of(self, word: bytes) -> float:
        """Milliseconds of CPU of those processes whose command line has this word, by the scheduler's clock."""
        spent = 0
        for pid in self.pids:
            with contextlib.suppress(OSError):
                if word in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0"):
                    for thread in Path(f"/proc/{pid}/task").iterdir():
                        spent += int((thread / "schedstat").read_text().split()[0])
        return spent / 1e6

    def rss_kb(self) -> int:
        """Resident memory, shared pages counted by their share (PSS), in KiB."""
        return sum(memory_kb(pid) for pid in self.pids)


def memory_kb(pid: int) -> int:
    """PSS of a process in KiB; 0 when it has gone."""
    with contextlib.suppress(FileNotFoundError, PermissionError, ProcessLookupError):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def descendants(pid: int) -> list[int]:
    """The process and all that it started."""
    found = [pid]
    with contextlib.suppress(FileNotFoundError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            for child in (thread / "children").read_text().split():
                found += descendants(int(child))
    return found


@contextlib.contextmanager
def started(command: list[str], port: int, core: int | None, env: dict[str, str] | None = None) -> Iterator[Running]:
    """A child pinned to a core that listens on `port`; its log is shown when it does not start."""
    pinned = command if core is None else ["taskset", "-c", str(core), *command]
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen(pinned, stdout=log, stderr=log, env={**os.environ, **(env or {})})
        try:
            deadline = time.monotonic() + 60
            while True:
                with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                    break
                if child.poll() is not None or time.monotonic() > deadline:
                    log.seek(0)
                    raise SystemExit(f"{' '.join(command[:4])} did not start: {log.read()[-1500:].decode()}")
                time.sleep(0.02)
            time.sleep(0.3)
            yield Running(port, descendants(child.pid))
        finally:
            child.terminate()
            try:
                child.wait(30)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


@contextlib.contextmanager
def nginx(core: int | None, upstream: int | None = None) -> Iterator[Running]:
    """A fixed answer, or (with `upstream`) a pass-through with keep-alive."""
    port = free_port()
    if upstream is None:
        upstreams, location = "", f"location / {{ default_type application/json; return 200 '{ANSWER}'; }}"
    else:
        upstreams = f"upstream mcp {{ server 127.0.0.1:{upstream}; keepalive 1024; keepalive_requests 1000000000; }}"
        location = (
            "location / { proxy_pass http://mcp; proxy_http_version 1.1; proxy_set_header Connection '';"
            " proxy_set_header Host $http_host; proxy_buffering off; proxy_request_buffering off;"
            " client_max_body_size 0; proxy_read_timeout 1h; }"
        )
    with tempfile.TemporaryDirectory() as home:
        text = (HERE / "nginx.conf.in").read_text()
        for name, value in {"home": home, "port": port, "upstreams": upstreams, "location": location}.items():
            text = text.replace(f"@{name}@", str(value))
        Path(home, "nginx.conf").write_text(text)
        os.chmod(home, 0o777)
        with started(["nginx", "-c", f"{home}/nginx.conf", "-p", home], port, core) as running:
            yield running


@contextlib.contextmanager
def haproxy(core: int | None, upstream: int) -> Iterator[Running]:
    """HAProxy, one thread, keep-alive to the upstream."""
    port = free_port()
    text = (
        "global\n  nbthread 1\n  maxconn 8000\n"
        "defaults\n  mode http\n  timeout connect 5s\n  timeout client 1h\n  timeout server 1h\n"
        f"listen mcp\n  bind 127.0.0.1:{port}\n  http-reuse always\n  server one 127.0.0.1:{upstream}\n"
    )
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as file:
        file.write(text)
        file.flush()
        with started(["haproxy", "-db", "-f", file.name], port, core) as running:
            yield running


@contextlib.contextmanager
def weir(
    core: int | None, upstream: int, *more: str, data_dir: str | None = None, python: str = sys.executable
) -> Iterator[Running]:
    """One relay worker, spooling each request before its answer; `more` are further flags."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        command = [python, "-m", "mcp_weir", "relay", "--upstream", f"http://127.0.0.1:{upstream}/mcp",
                   "--listen", f"127.0.0.1:{port}", "--data-dir", data_dir or home, "--log-level", "error", *more]
        with started(command, port, core) as running:
            yield running


@contextlib.contextmanager
def everything(core: int | None, upstream: int, database: str, *more: str) -> Iterator[Running]:
    """`mcp-weir up`: relay workers, recorder, admin port; over a database that is ready."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        command = [sys.executable, "-m", "mcp_weir", "up", "--upstream", f"http://127.0.0.1:{upstream}/mcp",
                   "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{free_port()}", "--data-dir", home,
                   "--log-level", "error"]
        with started([*command, *more], port, core, {"WEIR_DATABASE_URL": database}) as running:
            time.sleep(2)  # the recorder is there
            yield dataclasses.replace(running, pids=descendants(running.pids[0]), home=Path(home))


@contextlib.contextmanager
def plain_aiohttp(core: int | None, upstream: int) -> Iterator[Running]:
    """The proxy that everybody writes first."""
    port = free_port()
    command = [sys.executable, str(HERE / "plain_aiohttp.py"), str(port), f"http://127.0.0.1:{upstream}"]
    with started(command, port, core) as running:
        yield running


@contextlib.contextmanager
def direct(core: int | None, upstream: int) -> Iterator[Running]:
    """Nothing between."""
    yield Running(upstream, [])


Contestant = Callable[[int | None, int], contextlib.AbstractContextManager[Running]]
