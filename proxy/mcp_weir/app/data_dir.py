"""The data directory: that it can be used, and that one recorder at a time drains it."""

import fcntl
import os
from pathlib import Path

from mcp_weir.errors import UsageError


def make(data_dir: Path) -> None:
    """Make it where it is missing. Raises UsageError where it cannot be used."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        usable = os.access(data_dir, os.W_OK | os.X_OK)
        why = "" if usable else "it cannot be written"
    except OSError as error:
        why = error.strerror or type(error).__name__
    if why:
        raise _unusable(data_dir, why)


def take_lock(data_dir: Path, name: str = "recorder") -> int:
    """Hold it for one recorder; the lock ends with the process. Raises UsageError when it is held, or cannot be."""
    path = data_dir / f"{name}.lock"
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:  # a disk that is read-only or full, somebody else's file
        raise _unusable(data_dir, f"{path.name}: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise UsageError(
            f"another recorder drains {data_dir}; stop it (perhaps `mcp-weir up`), or give another --data-dir"
        ) from None
    except OSError as error:  # some network file systems have no locks
        os.close(handle)
        raise _unusable(data_dir, f"{path.name} cannot be locked ({error.strerror})") from None
    return handle


def hold(data_dir: Path) -> int:
    """Hold it for one `mcp-weir up`, whose recorder takes its own lock a while later.

    Raises UsageError when another has it, or a recorder drains it: said before anything is started.
    """
    os.close(take_lock(data_dir))
    return take_lock(data_dir, "up")


def _unusable(data_dir: Path, why: str) -> UsageError:
    return UsageError(f"cannot use the data directory {data_dir}: {why}; mend that, or choose another with --data-dir")
