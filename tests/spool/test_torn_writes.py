"""A disk that fills up in the middle of a line: what stands before it stays whole, and what comes after it too."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mcp_weir.spool import counters, reader
from mcp_weir.spool.segment import unseal
from spooling import call, spool, writer_at

FULL = """
import fcntl, os, resource, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from spooling import call, spool, writer_at
def room(more):  # bytes that the segment may still grow by: beyond them write(2) is short, then fails (EFBIG)
    (segment,) = (p for p in Path(sys.argv[1]).glob("*/*.seg") if p.stat().st_size)
    limit = resource.RLIM_INFINITY if more is None else segment.stat().st_size + more
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
writer = writer_at(Path(sys.argv[1]))
said = [spool(writer, call(1))]
room(int(sys.argv[3]))
said += [spool(writer, call(number)) for number in range(2, 2 + int(sys.argv[4]))]
room(None)
said += [spool(writer, call(8)), spool(writer, call(9))]
print(said)
writer.close()
"""
HERE = str(Path(__file__).parent.parent)


def filled(root: Path, room: int, lost: int) -> None:
    command = [sys.executable, "-c", FULL, str(root), HERE, str(room), str(lost)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout.strip() == str([True, *[False] * lost, True, True]), done.stderr


@pytest.mark.parametrize("lost", [1, 2])
@pytest.mark.parametrize("room", [0, 1, 200])
def test_half_a_line_is_cut_off_and_the_next_one_is_whole(tmp_path: Path, room: int, lost: int) -> None:
    filled(tmp_path, room, lost)
    (segment,) = reader.scan(tmp_path)
    assert all(unseal(line) is not None for line in segment.path.read_bytes().splitlines())
    found = segment.read(0, 1 << 20)
    assert [facts[0].exchange for _, facts in found.lines] == [1, 8, 9]
    assert found.damaged == [] and found.torn == 0
    (folder,) = tmp_path.iterdir()
    counts = list(counters.read_counts(folder).values())  # two where a minute has just turned
    assert sum(count.seen for count in counts) == 3 + lost and sum(count.spooled for count in counts) == 3
    assert sum(count.dropped.get("disk_full", 0) for count in counts) == lost


def test_where_it_cannot_be_cut_off_nothing_is_written_behind_it(tmp_path: Path) -> None:
    writer = writer_at(tmp_path)
    assert spool(writer, call(1))
    os.write(writer._fd, b"half a line")
    writer._torn = True  # as after an ftruncate that failed
    assert spool(writer, call(2)) and spool(writer, call(3))
    first, second = reader.scan(tmp_path)
    found = first.read(0, 1 << 20)
    assert [facts[0].exchange for _, facts in found.lines] == [1]
    assert found.damaged == [] and found.torn == len(b"half a line"), "it is the last of its segment"
    assert [facts[0].exchange for _, facts in second.read(0, 1 << 20).lines] == [2, 3]
    writer.close()
