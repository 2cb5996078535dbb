"""Power cuts: what would be on the disk had the power gone at some moment, judged by what was synced until then.

The disk is the strictest that POSIX allows: of a file it keeps what a sync of that file began with, of a name what a
sync of its folder began with, and of a file that was never synced nothing.
"""

import collections
import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

import pytest

_SOURCE = Path(__file__).parent / "power.c"
_NEVER = float("inf")
_SAID = re.compile(rb'\\"([a-z]+-\d+)\\"')  # the load generator's ids, as JSON in JSON


def shim(folder: Path, source: Path = _SOURCE) -> Path:
    """The preloaded library; skips where there is no compiler."""
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    made = folder / source.with_suffix(".so").name
    subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", made, source, "-ldl"], check=True)
    return made


@dataclasses.dataclass(slots=True)
class Disk:
    """When what became safe: times are of CLOCK_MONOTONIC, in seconds."""

    sizes: dict[str, list[tuple[float, int]]]  # of each file: when a sync had ended, and how long the file was before
    names: dict[str, float]  # of each file and folder: when its name was safe

    @property
    def syncs(self) -> int:
        """How often a file was synced."""
        return sum(map(len, self.sizes.values()))

    def safe_at(self, path: Path, size: int, root: Path) -> float:
        """When the first `size` bytes of this file, and every name that leads to it from `root`, were safe."""
        data = min((at for at, kept in self.sizes.get(str(path), ()) if kept >= size), default=_NEVER)
        leading = [path, *(folder for folder in path.parents if folder.is_relative_to(root) and folder != root)]
        return max(data, *(self.names.get(str(one), _NEVER) for one in leading))

    def kept(self, path: Path, root: Path) -> int:
        """Bytes of it after a power cut now; 0 where it is gone altogether."""
        return max((n for _, n in self.sizes.get(str(path), ()) if self.safe_at(path, n, root) < _NEVER), default=0)


def read(log: Path) -> Disk:
    """What the preloaded library wrote down."""
    sizes: dict[str, list[tuple[float, int]]] = collections.defaultdict(list)
    names: dict[str, float] = {}
    for line in log.read_text().splitlines():
        at, size, path = line.split(" ", 2)
        seconds = int(at) / 1e9
        if size == "-1":
            names.setdefault(path, seconds)
        else:  # a segment is synced while it still has its hidden name
            sizes[path.replace(".new", ".seg")].append((seconds, int(size)))
    return Disk(dict(sizes), names)


def when_safe(disk: Disk, data: Path) -> dict[str, float]:
    """JSON id of each call in the spool -> when the last line that speaks of it was safe."""
    safe: dict[str, float] = {}
    for segment in data.glob("spool/*/*.seg"):
        end = 0
        for line in segment.read_bytes().splitlines(keepends=True):
            end += len(line)
            found = {match.decode() for match in _SAID.findall(line)}
            at = disk.safe_at(segment, end, data) if found else 0.0
            safe |= {f'"{key}"': max(at, safe.get(f'"{key}"', 0.0)) for key in found}
    return safe


def cut(disk: Disk, data: Path, after: Path) -> int:
    """A data directory as the power cut leaves it; returns how many bytes of the spool went."""
    lost = 0
    shutil.copytree(data, after)
    for path in [path for path in after.rglob("*") if path.is_file()]:
        before = data / path.relative_to(after)
        kept, size = disk.kept(before, data), path.stat().st_size
        if path.suffix == ".seg":
            lost += size - min(kept, size)
        if kept:
            with path.open("r+b") as file:
                file.truncate(min(kept, size))
        elif path.name != "key":  # made once, long before: its hidden name was synced, and then the folder
            path.unlink()
    return lost
