"""Compiles the hot path by mypyc into the wheel, where it is asked for: HATCH_BUILD_HOOKS_ENABLE=true pip wheel .

Works on a copy: a compiled module beside its source would be what an editable install imports for ever after. The
sources travel in the wheel too; Python takes the compiled module where both stand. Whatever is not listed stays as it
is: structs gain nothing, and traffic/glance, which does little but make them by keyword, costs more compiled (11.3 us
for 7.9); mypyc refuses the slots of what inherits from aiohttp's classes (relay/client); elsewhere nobody waits.
"""

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

PACKAGE = "mcp_weir"
HOT = {  # room: what a request passes through; "" is the package itself
    "": "keys",
    "wire": "headers sse jsonrpc lenient",
    "traffic": "text conversation requests answers exchange opening",
    "relay": "headers heads guard watch turn answer exchanges upstream_protocol forwarded upstream",
    "spool": "writer counters segment budget",
}
SETUP = """
import sys
from setuptools import setup
from mypyc.build import mypycify
setup(name="hot", packages=[], ext_modules=mypycify(
    ["--config-file=", "--ignore-missing-imports", *sys.argv.pop().split(",")], opt_level="3", debug_level="0",
    group_name="mcp_weir.compiled"))
"""


class CompiledHook(BuildHookInterface):  # type: ignore[type-arg]
    """Adds the compiled modules to a wheel; to an editable one it adds nothing."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if self.target_name != "wheel" or version == "editable":
            return
        self._copy = Path(tempfile.mkdtemp(prefix="mcp-weir-"))
        source = Path(self.root, "proxy", PACKAGE)
        shutil.copytree(source, self._copy / PACKAGE, ignore=shutil.ignore_patterns("*.so", "__pycache__"))
        files = [str(Path(PACKAGE, room, f"{name}.py")) for room, names in HOT.items() for name in names.split()]
        command = [sys.executable, "-c", SETUP, "-q", "build_ext", "--inplace", ",".join(files)]
        done = subprocess.run(command, cwd=self._copy, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        if done.returncode:
            raise RuntimeError(f"mypyc: {done.stdout[-5000:]}")
        built = list((self._copy / PACKAGE).rglob("*.so"))
        build_data["force_include"].update({str(path): str(path.relative_to(self._copy)) for path in built})
        build_data["pure_python"], build_data["infer_tag"] = False, True

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        if hasattr(self, "_copy"):
            shutil.rmtree(self._copy, ignore_errors=True)
