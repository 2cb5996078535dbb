"""A small disk: a tmpfs of so many megabytes, which can be filled and freed."""

import contextlib
import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class Disk:
    """A mounted tmpfs."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def free(self) -> int:
        """Bytes left."""
        stat = os.statvfs(self.path)
        return stat.f_bavail * stat.f_frsize

    def fill(self, leave: int = 0) -> int:
        """A file that takes all but `leave` bytes; returns its size."""
        size = max(0, self.free() - leave)
        written = 0
        with (self.path / "ballast").open("ab", buffering=0) as file:
            try:
                while written < size:
                    written += file.write(bytes(min(4096, size - written)))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
        return written

    def relieve(self) -> None:
        """Remove the file again."""
        (self.path / "ballast").unlink(missing_ok=True)


@contextlib.contextmanager
def small_disk(path: Path, megabytes: int) -> Iterator[Disk]:
    """Mount; skips the test where that is not allowed (it needs root)."""
    path.mkdir(parents=True)
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(path)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True).returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        yield Disk(path)
    finally:
        subprocess.run(["umount", "-l", str(path)], check=True)
