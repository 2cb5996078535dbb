"""The composition root: what a relay worker and a recorder process are made of."""

import asyncio
import dataclasses
import signal
import socket
import threading
import time
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from mcp_weir.errors import UsageError
from mcp_weir.keys import Keys, load_or_create
from mcp_weir.recorder.drain import Recorder
from mcp_weir.relay.server import Relay, RelaySettings
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.traffic.facts import Line
from mcp_weir.traffic.reading import Reading


@dataclasses.dataclass(frozen=True, slots=True)
class RelayConfig:
    """What a worker needs to know. `upstream` is origin and MCP path."""

    upstream: str
    data_dir: Path
    service: str | None = None
    keep_session_ids: bool = False
    drain_timeout: float = 25


def split_upstream(url: str) -> tuple[str, str]:
    """(origin, MCP path); UsageError for what is no http(s) URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or (port is not None and port == 0):
        raise UsageError(f"--upstream {url!r} is no HTTP URL; write http://127.0.0.1:8051/mcp")
    return f"{parts.scheme}://{parts.netloc}", parts.path or "/mcp"


def bind(listen: str) -> socket.socket:
    """A bound SO_REUSEPORT socket. Raises UsageError when the address is malformed or taken."""
    host, _, port = listen.rpartition(":")
    if not host or not port.isdigit():
        raise UsageError(f"--listen {listen!r} is no HOST:PORT; write 127.0.0.1:8052")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host.strip("[]"), int(port)))
    except OSError as error:
        sock.close()
        raise UsageError(f"cannot listen on {listen}: {error.strerror}; choose another with --listen") from None
    return sock


def run_relay(config: RelayConfig, sock: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    origin, path = split_upstream(config.upstream)
    config.data_dir.mkdir(parents=True, exist_ok=True)
    service = config.service or urlsplit(origin).netloc
    keys = Keys(load_or_create(config.data_dir / "key"), service)
    writer = SpoolWriter(
        config.data_dir / "spool", service=service, instance=socket.gethostname(), key_id=keys.key_id
    )
    reading = Reading(keys, mcp_paths=(path, "/sse", "/messages/"), keep_session_ids=config.keep_session_ids)
    settings = RelaySettings(origin, reading, drain_timeout=config.drain_timeout)

    def offer(line: Line, minute: int) -> object:
        return writer.offer(line, minute)

    try:
        uvloop.run(_serve(Relay(settings, offer, writer.seen), sock, writer))
    finally:
        writer.close()


async def _serve(relay: Relay, sock: socket.socket, writer: SpoolWriter) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await relay.start(sock)
    while not stop.is_set():
        writer.heartbeat(time.time_ns() // 1000)
        try:
            await asyncio.wait_for(stop.wait(), 1)
        except TimeoutError:
            continue
    await relay.drain()


def run_recorder(database_url: str, data_dir: Path) -> None:
    """Drain the spool until SIGTERM or SIGINT."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    spool = data_dir / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    Recorder(database_url, spool).run(stop)
