"""Other proxies and a real MCP server, from the registries: each in an environment of its own under .bench/."""

import contextlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from processes import Running, free_port, started

HERE = Path(__file__).parent
HOME = HERE.parent / ".bench"
PINS = {"mitmproxy": "mitmproxy==11.0.2", "mcp-proxy": "mcp-proxy==0.13.0", "fastmcp": "fastmcp==4.2.3"}


class Missing(Exception):
    """A peer that cannot be installed here: said in the table, not left out of it."""


def peer(name: str) -> Path:
    """The bin folder of a peer's own environment, made on first use. Raises Missing."""
    home = HOME / name
    if not (home / "installed").exists():
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        pip = [str(home / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", PINS[name]]
        if subprocess.run(pip).returncode:
            raise Missing(PINS[name])
        (home / "installed").touch()
    return home / "bin"


@contextlib.contextmanager
def mitmproxy(core: int | None, upstream: int) -> Iterator[Running]:
    """mitmdump in reverse mode."""
    port, bin_dir = free_port(), peer("mitmproxy")
    command = [f"{bin_dir}/mitmdump", "-q", "--mode", f"reverse:http://127.0.0.1:{upstream}",
               "--listen-host", "127.0.0.1", "-p", str(port), "--set", "flow_detail=0"]
    with tempfile.TemporaryDirectory() as home:
        with started([*command, "--set", f"confdir={home}"], port, core) as running:
            yield running


@contextlib.contextmanager
def mcp_proxy(core: int | None, upstream: int) -> Iterator[Running]:
    """mcp-proxy twice, back to back over stdio: its only way from HTTP to HTTP. Needs a real MCP server upstream."""
    port, bin_dir = free_port(), peer("mcp-proxy")
    inner = [f"{bin_dir}/mcp-proxy", "--transport", "streamablehttp", f"http://127.0.0.1:{upstream}/mcp"]
    with started([f"{bin_dir}/mcp-proxy", "--port", str(port), "--", *inner], port, core) as running:
        yield running


@contextlib.contextmanager
def fastmcp_proxy(core: int | None, upstream: int) -> Iterator[Running]:
    """FastMCP's own proxy. Needs a real MCP server upstream."""
    port, bin_dir = free_port(), peer("fastmcp")
    command = [f"{bin_dir}/python", str(HERE / "fastmcp_proxy.py"), str(port), f"http://127.0.0.1:{upstream}/mcp"]
    with started(command, port, core) as running:
        yield running


@contextlib.contextmanager
def fastmcp_server(core: int | None) -> Iterator[Running]:
    """A FastMCP server with one tool, `add`."""
    port, bin_dir = free_port(), peer("fastmcp")
    with started([f"{bin_dir}/python", str(HERE / "fastmcp_server.py"), str(port)], port, core) as running:
        yield running
