"""The supervisor with real processes: what dies comes back, what ends ends in order, and nobody is refused."""

import contextlib
import http.client
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from mcp_weir.child import Child
from weir_process import Running, free_port, query, start_weir, wait_until


class Echo(BaseHTTPRequestHandler):
    """An MCP server of one answer."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        body = json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": {"content": []}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Silent."""


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/mcp"
    server.shutdown()
    server.server_close()


def call(port: int, number: int) -> int:
    """One call over a connection of its own; the status, or 0 when there was no answer."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    body = json.dumps({"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": "add"}})
    try:
        link.request("POST", "/mcp", body, {"Content-Type": "application/json", "Connection": "close"})
        answer = link.getresponse()
        answer.read()
        return answer.status
    except OSError:
        return 0
    finally:
        link.close()


def children(parent: int) -> dict[str, int]:
    """Command -> pid of `up`'s children."""
    found = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if int(stat[1]) == parent and stat[0] != "Z" and b"mcp_weir" in words:
                found[words[words.index(b"mcp_weir") + 1].decode()] = int(pid)
    return found


def rows(url: str) -> set[str]:
    return {row[0] for row in query(url, "SELECT jsonrpc_id FROM weir.requests WHERE outcome = 'ok'")}


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_what_is_killed_comes_back_and_no_call_is_missing(upstream: str, database_url: str, tmp_path: Path) -> None:
    with start_weir(upstream, tmp_path, database_url) as weir:
        sent = set()
        for number in range(60):
            if number in (20, 40):
                os.kill(children(weir.child.pid)["relay" if number == 20 else "recorder"], signal.SIGKILL)
            if call(weir.port, number) == 200:
                sent.add(str(number))
        wait_until(lambda: rows(database_url) == sent)
        assert len(sent) >= 58
        wait_until(lambda: set(children(weir.child.pid)) == {"relay", "recorder"})


def test_sighup_hands_over_and_refuses_nobody(upstream: str, database_url: str, tmp_path: Path) -> None:
    with start_weir(upstream, tmp_path, database_url) as weir:
        old = children(weir.child.pid)["relay"]
        statuses: list[int] = []
        done = threading.Event()

        def load() -> None:
            while not done.is_set():
                statuses.append(call(weir.port, len(statuses)))

        loading = threading.Thread(target=load)
        loading.start()
        try:
            for _ in range(2):
                before = children(weir.child.pid)["relay"]
                weir.child.send_signal(signal.SIGHUP)
                wait_until(lambda gone=before: not alive(gone), 30)
        finally:
            done.set()
            loading.join()
        assert children(weir.child.pid)["relay"] != old
        assert len(statuses) > 20 and set(statuses) == {200}
        wait_until(lambda: len(rows(database_url)) == len(statuses))


def test_sighup_reads_the_settings_again_and_keeps_them_where_they_cannot_be_read(
    upstream: str, database_url: str, tmp_path: Path
) -> None:
    file = tmp_path / "weir.toml"
    file.write_text('idle_window = "10m"\n')
    with start_weir(upstream, tmp_path, database_url, "--config", str(file)) as weir:
        wait_until(lambda: idle_window(database_url) == "600.0 seconds", 40)
        assert call(weir.port, 1) == 200
        file.write_text('idle_window = "5m"\nupstream-host = "inner"\nallowed-host = ["nobody.test"]\nworkers = 3\n')
        weir.child.send_signal(signal.SIGHUP)
        wait_until(lambda: call(weir.port, 2) == 403, 40)
        wait_until(lambda: idle_window(database_url) == "300.0 seconds", 40)
        assert set(children(weir.child.pid)) <= {"relay", "recorder"}
        before = children(weir.child.pid)["relay"]
        file.write_text("upstream-host = [\n")
        weir.child.send_signal(signal.SIGHUP)
        assert weir.log is not None
        log = weir.log
        wait_until(lambda: "supervisor.settings_refused" in log.read_text(), 40)
        assert call(weir.port, 3) == 403 and children(weir.child.pid)["relay"] == before
        weir.child.send_signal(signal.SIGTERM)
        assert weir.child.wait(40) == 0


def test_settings_that_no_worker_starts_with_are_given_up(upstream: str, database_url: str, tmp_path: Path) -> None:
    """They can be read, and a certificate is missing: a worker that dies afterwards must come back as it was."""
    file = tmp_path / "weir.toml"
    file.write_text("")
    with start_weir(upstream, tmp_path, database_url, "--config", str(file)) as weir:
        assert weir.log is not None and call(weir.port, 1) == 200
        log = weir.log
        file.write_text('tls-cert = "none.pem"\ntls-key = "none.pem"\n')
        weir.child.send_signal(signal.SIGHUP)
        wait_until(lambda: "supervisor.hand_over_failed" in log.read_text(), 60)
        os.kill(children(weir.child.pid)["relay"], signal.SIGKILL)
        wait_until(lambda: call(weir.port, 2) == 200, 60)
        file.write_text('otel-endpoint = "localhost"\n')
        weir.child.send_signal(signal.SIGHUP)
        wait_until(lambda: "supervisor.settings_refused" in log.read_text(), 60)
        assert call(weir.port, 3) == 200


def test_a_flag_overrules_a_variable_in_the_children_too(upstream: str, database_url: str, tmp_path: Path) -> None:
    """`--capture off` beside WEIR_CAPTURE=full: off is the default, and what a default says must not go unsaid."""
    variables = {"WEIR_CAPTURE": "full", "WEIR_KEEP_SESSION_IDS": "true"}
    flags = ("--capture", "off", "--no-keep-session-ids")
    with start_weir(upstream, tmp_path, database_url, *flags, env=variables) as weir:
        assert call(weir.port, 1) == 200
        wait_until(lambda: rows(database_url) == {"1"})
        for pid in children(weir.child.pid).values():
            said = Path(f"/proc/{pid}/environ").read_bytes()
            assert b"WEIR_UPSTREAM=" in said
            assert b"WEIR_CAPTURE" not in said and b"WEIR_KEEP_SESSION_IDS" not in said


def test_a_child_that_cannot_be_started_for_now_is_tried_again_and_takes_nobody_down(tmp_path: Path) -> None:
    """The recorder was killed for want of memory, and there is none for another yet: the workers go on."""
    child, stop = Child("version", ["--version"], ()), threading.Event()
    Child._leash = Child._leash or os.pipe()
    before = len(os.listdir("/proc/self/fd"))
    for left in (0, 2):  # not even a pipe; a pipe and no more
        with no_descriptors_but(left):
            child.start(os.environ)
        assert not child.runs() and not child.wait_ready(0.2, stop)
    codes: list[int | None] = []
    wait_until(lambda: codes.append(child.look_after(lambda: os.environ)) or 0 in codes, 60)  # it prints, and ends
    child.kill()
    assert len(os.listdir("/proc/self/fd")) == before


@contextlib.contextmanager
def no_descriptors_but(left: int) -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    taken: list[int] = []
    try:
        taken = [os.open(os.devnull, os.O_RDONLY) for _ in range(8)]
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(taken) + 1, hard))
        with contextlib.suppress(OSError):
            while True:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        for _ in range(left):
            os.close(taken.pop())
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for fd in taken:
            os.close(fd)


def idle_window(url: str) -> str:
    return "".join(row[0] for row in query(url, "SELECT value FROM weir.parameters WHERE name = 'idle_window'"))


def test_children_end_when_the_supervisor_is_killed(upstream: str, database_url: str, tmp_path: Path) -> None:
    with start_weir(upstream, tmp_path, database_url) as weir:
        pids = list(children(weir.child.pid).values())
        assert len(pids) == 2 and call(weir.port, 1) == 200
        wait_until(lambda: rows(database_url) == {"1"})
        weir.child.kill()
        weir.child.wait()
        wait_until(lambda: not any(map(alive, pids)), 20)


def test_a_second_sigterm_ends_at_once(database_url: str, tmp_path: Path) -> None:
    with start_weir(f"http://127.0.0.1:{free_port()}/mcp", tmp_path, database_url) as weir:
        pids = list(children(weir.child.pid).values())
        os.kill(children(weir.child.pid)["relay"], signal.SIGSTOP)  # it will not drain
        weir.child.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        assert weir.child.poll() is None
        weir.child.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert weir.child.wait(10) == 143
        assert time.monotonic() - began < 2
        wait_until(lambda: not any(map(alive, pids)), 5)


def postmaster(weir: Running) -> int:
    assert weir.log is not None
    return int((weir.log.parent / "data" / "postgres" / "postmaster.pid").read_text().split("\n", 1)[0])


@pytest.mark.slow
def test_a_killed_embedded_postgres_comes_back_and_nothing_is_missing(upstream: str, tmp_path: Path) -> None:
    with start_weir(upstream, tmp_path, None) as weir:
        said = [sys.executable, "-m", "mcp_weir", "db", "url", "--data-dir", str(tmp_path / "data")]
        url = subprocess.run(said, capture_output=True, text=True, check=True).stdout.strip()
        first = postmaster(weir)
        for number in range(20):
            assert call(weir.port, number) == 200
            if number == 10:
                os.kill(first, signal.SIGKILL)
        wait_until(lambda: recorded(url) == {str(n) for n in range(20)}, 40)
        assert postmaster(weir) != first
        assert subprocess.run(said, capture_output=True, check=True).returncode == 0  # a reader stops nothing
        assert recorded(url) == {str(n) for n in range(20)}
        second = postmaster(weir)
        weir.child.send_signal(signal.SIGTERM)
        assert weir.child.wait(30) == 0
        assert not alive(second)


def test_a_cluster_that_does_not_start_stops_no_traffic(upstream: str, tmp_path: Path) -> None:
    with start_weir(upstream, tmp_path, None) as weir:
        assert call(weir.port, 1) == 200
    settings = tmp_path / "data" / "postgres" / "postgresql.conf"
    usual = settings.read_text()
    settings.write_text(usual + "no_such_thing = on\n")
    with start_weir(upstream, tmp_path, None) as weir:
        assert weir.log is not None
        log = weir.log
        wait_until(lambda: "supervisor.postgres_not_started" in log.read_text(), 60)
        assert weir.child.poll() is None and call(weir.port, 2) == 200
        settings.write_text(usual)
        wait_until(lambda: recorded(embedded_url(tmp_path)) == {"1", "2"}, 90)


def embedded_url(home: Path) -> str:
    said = [sys.executable, "-m", "mcp_weir", "db", "url", "--data-dir", str(home / "data")]
    return subprocess.run(said, capture_output=True, text=True).stdout.strip()


def recorded(url: str) -> set[str]:
    try:
        return rows(url)
    except Exception:  # while it is away
        return set()


def test_two_recorders_do_not_share_a_data_directory(upstream: str, database_url: str, tmp_path: Path) -> None:
    with start_weir(upstream, tmp_path, database_url):
        said = [sys.executable, "-m", "mcp_weir", "recorder", "--data-dir", str(tmp_path / "data"), "--admin", "off"]
        second = subprocess.run(
            said, env={**os.environ, "WEIR_DATABASE_URL": database_url}, capture_output=True, text=True, timeout=30
        )
        assert second.returncode == 2 and "another recorder" in second.stderr
