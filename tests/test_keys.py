"""Keyed hashes: stable, separated by service, kept in a file of its own."""

import hmac
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mcp_weir.errors import UsageError
from mcp_weir.keys import Keys, key_id, load_all, load_or_create


def test_a_session_key_is_stable_and_of_its_service() -> None:
    one, two = Keys(b"k" * 32, "a"), Keys(b"k" * 32, "b")
    assert one.session_key(b"id") == Keys(b"k" * 32, "a").session_key(b"id")
    assert one.session_key(b"id") != two.session_key(b"id")
    assert one.session_key(b"id").version == 8
    whole = hmac.digest(b"k" * 32, b"args\0a\0{}", "sha256")
    assert one.digest("args", b"{}") == whole[:16]
    assert one.digest("event-id", b"id") != one.digest("args", b"id")


def test_the_key_file_is_made_once_and_private(tmp_path: Path) -> None:
    path = tmp_path / "data" / "key"
    secret = load_or_create(path)
    assert load_or_create(path) == secret
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(path.parent) == ["key"]


@pytest.mark.parametrize("held", [b"", b"short", b"zz" * 32, b"ab" * 31, b"ab" * 32 + b"\nab"])
def test_what_is_no_key_is_said_so(tmp_path: Path, held: bytes) -> None:
    (tmp_path / "key").write_bytes(held)
    with pytest.raises(UsageError, match="not an mcp-weir key file"):
        load_or_create(tmp_path / "key")


def test_a_new_first_line_rotates_and_the_old_key_is_still_found(tmp_path: Path) -> None:
    path = tmp_path / "key"
    old = load_or_create(path)
    path.write_text("11" * 32 + "\n" + path.read_text())
    assert load_all(path) == (b"\x11" * 32, old)
    assert key_id(old) != key_id(load_or_create(path))
    path.write_bytes(b"r" * 32)
    assert load_all(path) == (b"r" * 32,)


def test_workers_that_start_at_once_read_one_whole_key(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from mcp_weir.keys import load_or_create\n"
        "time.sleep(max(0, float(sys.argv[2]) - time.time())); print(load_or_create(Path(sys.argv[1])).hex())"
    )
    start = str(time.time() + 1.0)
    path = str(tmp_path / "key")
    running = [
        subprocess.Popen([sys.executable, "-c", code, path, start], stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    said = {child.communicate(timeout=30)[0].strip() for child in running}
    assert len(said) == 1 and said == {load_or_create(tmp_path / "key").hex()}


def test_long_ids_of_strangers_are_not_kept() -> None:
    keys = Keys(b"k" * 32, "a")
    assert keys.session_key(b"x" * 60_000) == keys.session_key(b"x" * 60_000)
    keys.principal_key(b"x" * 60_000)
    assert keys._known_session.cache_info().currsize == keys._known_principal.cache_info().currsize == 0


NO_HARD_LINKS = """
import ctypes, os, platform, struct, sys
from pathlib import Path
calls = {"x86_64": (86, 265), "aarch64": (37,)}[platform.machine()]  # link(2), linkat(2)
code = [(0x20, 0, 0, 0)]  # the system call's number
code += [(0x15, len(calls) - n, 0, number) for n, number in enumerate(calls)]
code += [(0x06, 0, 0, 0x7FFF0000), (0x06, 0, 0, 0x00050000 | 1)]  # allow; else EPERM
program = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in code))
filter = ctypes.create_string_buffer(struct.pack("HP", len(code), ctypes.addressof(program)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0  # no new privileges
if libc.prctl(22, 2, filter, 0, 0):  # seccomp
    sys.exit(77)
os.umask(0)
from mcp_weir.keys import load_or_create
path = Path(sys.argv[1])
try:
    os.link(__file__ if "__file__" in globals() else sys.executable, path.with_name("linked"))
except PermissionError:
    print(load_or_create(path).hex())
"""


def test_where_nothing_can_be_linked_the_key_is_as_private_and_as_whole(tmp_path: Path) -> None:
    """As on file systems without hard links (exFAT, some network disks): there link(2) says EPERM."""
    path = tmp_path / "data" / "key"
    path.parent.mkdir()
    command = [sys.executable, "-c", NO_HARD_LINKS, str(path)]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    said = {child.communicate(timeout=60)[0].strip() for child in running}
    if {child.returncode for child in running} == {77}:
        pytest.skip("system calls cannot be filtered here")
    assert said == {load_or_create(path).hex()}
    assert path.stat().st_mode & 0o777 == 0o600 and os.listdir(path.parent) == ["key"]
