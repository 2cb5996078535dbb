"""The compiled build says what the interpreted one says: `make compiled-test`.

Each is a process of its own; what they made of the same damaged exchanges is compared to the byte.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import mcp_weir

SAY = Path(__file__).parent / "fuzz" / "say.py"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("mcp_weir.compiled__mypyc") is None, reason="this build is interpreted"
)


def said(count: int, seed: int, sources: Path | None = None) -> list[bytes]:
    """By this environment's build, or by these sources."""
    env = os.environ | ({"PYTHONPATH": str(sources)} if sources else {})
    command = [sys.executable, str(SAY), str(count), str(seed)]
    return subprocess.run(command, env=env, check=True, capture_output=True).stdout.split(b"\n")


@pytest.mark.parametrize("seed", range(4))
def test_both_say_the_same(tmp_path: Path, seed: int) -> None:
    package = Path(mcp_weir.__file__).parent
    shutil.copytree(package, tmp_path / "mcp_weir", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    compiled, interpreted = said(2000, seed), said(2000, seed, tmp_path)
    assert len(set(compiled)) > 500
    assert compiled == interpreted


def test_the_version_tells() -> None:
    told = subprocess.run([sys.executable, "-m", "mcp_weir", "--version"], check=True, capture_output=True, text=True)
    assert told.stdout.rstrip().endswith("compiled")
