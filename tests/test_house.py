"""The house holds: which room may import which, how large files and functions may be."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "proxy" / "mcp_weir"
FILES = sorted(PACKAGE.rglob("*.py"))
ROOMS = {
    "wire": set(),
    "traffic": {"wire"},
    "relay": {"traffic", "wire", "errors"},
    "spool": {"traffic", "errors"},
    "attribution": {"traffic"},
    "recorder": {"spool", "attribution", "traffic", "sinks", "store", "errors", "log"},
    "sinks": {"traffic", "store", "attribution", "log"},
    "store": {"errors"},
    "admin": {"dashboard", "store", "errors", "log"},
    "reports": {"store", "errors"},
    "config": {"errors"},
    "doctor": {"config", "errors", "store"},
    "dashboard": {"store", "errors"},
    "keys": {"errors"},
    "errors": set(),
    "log": set(),
    "demo": {"errors", "store"},
}
LIBRARIES = {"aiohttp": {"relay", "admin", "dashboard", "app"}, "psycopg": {"store", "recorder", "sinks"}}


def room_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_a_room_opens_only_its_own_doors(path: Path) -> None:
    room = room_of(path)
    names = imported(ast.parse(path.read_text()))
    ours = {name.split(".")[1] for name in names if name.startswith("mcp_weir.")} - {room, "__version__"}
    if room in ROOMS:
        assert ours <= ROOMS[room]
    if room != "__main__":
        assert "cli" not in ours
    if room not in ("cli", "__main__"):
        assert "app" not in ours
    if room in ROOMS:
        assert "config" not in ours or "config" in ROOMS[room]
    for library, allowed in LIBRARIES.items():
        if any(name.split(".")[0] == library for name in names):
            assert room in allowed | {"app", "supervisor", "cli"}


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_files_and_functions_stay_small(path: Path) -> None:
    text = path.read_text()
    assert len(text.splitlines()) <= 400
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert (node.end_lineno or 0) - node.lineno < 60, node.name
            assert ast.get_docstring(ast.parse(text)), "a module says what it is"
