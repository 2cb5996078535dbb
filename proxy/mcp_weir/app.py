"""The composition root: what a relay worker, a recorder process and a dashboard are made of."""

import asyncio
import os
import signal
import socket
import threading
import time
from urllib.parse import urlsplit

import uvloop

from mcp_weir.config import Settings
from mcp_weir.errors import UsageError
from mcp_weir.keys import Keys, load_or_create
from mcp_weir.recorder.drain import Recorder
from mcp_weir.relay.server import Relay, RelaySettings
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.store import connect
from mcp_weir.traffic.reading import Reading

_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")


def split_upstream(url: str) -> tuple[str, str]:
    """(origin, MCP path); UsageError for what is no http(s) URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or (port is not None and port == 0):
        raise UsageError(f"--upstream {connect.mask(url)!r} is no HTTP URL; write http://127.0.0.1:8051/mcp")
    if parts.username is not None:
        raise UsageError("--upstream holds a user name; clients send their own credentials, write it without")
    return f"{parts.scheme}://{parts.netloc}", parts.path or "/mcp"


def check(settings: Settings) -> tuple[str, str]:
    """What every relay needs, said before anything starts; returns split_upstream's. Raises UsageError."""
    if not settings.upstream:
        raise UsageError("no upstream; give --upstream http://127.0.0.1:8051/mcp, the MCP server's URL")
    if settings.upstream_host and not settings.allowed_host:
        raise UsageError("--upstream-host rewrites Host: say with --allowed-host which Host clients may send")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise UsageError("--tls-cert and --tls-key go together")
    return split_upstream(settings.upstream)


def database_url(settings: Settings) -> str | None:
    """The database's URL, parsed once to be sure; empty for libpq's own variables, None for the embedded one."""
    if settings.database_url:
        return connect.parse(settings.database_url)
    return "postgresql://" if any(os.environ.get(name) for name in _LIBPQ) else None


def bind_workers(settings: Settings) -> list[socket.socket]:
    """One SO_REUSEPORT socket for each worker. Raises UsageError when the address is malformed or taken."""
    _bind(settings.listen, "--listen", shared=False).close()  # SO_REUSEPORT alone would share another weir's port
    first = _bind(settings.listen, "--listen", shared=True)
    host = settings.listen.rpartition(":")[0]
    address = f"{host}:{first.getsockname()[1]}"
    return [first, *(_bind(address, "--listen", shared=True) for _ in range(settings.workers - 1))]


def bind_admin(settings: Settings) -> socket.socket | None:
    """The admin port's socket; None when it is off."""
    return None if settings.admin == "off" else _bind(settings.admin, "--admin", shared=False)


def _bind(address: str, named: str, *, shared: bool) -> socket.socket:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"{named} {address!r} is no HOST:PORT; write 127.0.0.1:8052")
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        sock.bind((host.strip("[]"), int(port)))
    except OSError as error:
        sock.close()
        raise UsageError(f"cannot listen on {address}: {error.strerror}; choose another with {named}") from None
    return sock


def welcome(settings: Settings, path: str, url: str) -> str:
    """What `up` says on start: where everything is, and how to point clients at it."""
    scheme = "https" if settings.tls_cert else "http"
    here = f"{scheme}://{settings.listen}{path}"
    lines = [
        f"mcp-weir: {here} -> {settings.upstream}",
        f"  dashboard    {'off' if settings.admin == 'off' else f'http://{settings.admin}/'}",
        f"  database     {connect.mask(url)}",
        f"  data         {settings.data_dir}",
        f"  Claude Code  claude mcp add --transport http NAME {here}",
        f'  Cursor, mcp.json  {{"mcpServers": {{"NAME": {{"url": "{here}"}}}}}}',
    ]
    return "\n".join(lines)


def run_relay(settings: Settings, sock: socket.socket) -> None:
    """Serve until SIGTERM or SIGINT, then drain."""
    origin, path = check(settings)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    service = settings.service or urlsplit(origin).netloc
    keys = Keys(load_or_create(settings.key_file or settings.data_dir / "key"), service)
    writer = SpoolWriter(
        settings.data_dir / "spool", service=service, instance=settings.instance or socket.gethostname(),
        key_id=keys.key_id, spool_max=settings.spool_max, keep_free=settings.keep_free,
    )
    relay = Relay(_relay_settings(settings, origin, _reading(settings, keys, path)), writer.offer, writer.seen)
    try:
        uvloop.run(_serve(relay, sock, writer))
    finally:
        writer.close()


def _reading(settings: Settings, keys: Keys, path: str) -> Reading:
    return Reading(
        keys,
        mcp_paths=settings.mcp_path or (path, "/sse", "/messages/"),
        body_limit=settings.body_limit,
        keep_session_ids=settings.keep_session_ids,
    )


def _relay_settings(settings: Settings, origin: str, reading: Reading) -> RelaySettings:
    return RelaySettings(
        origin, reading, connect_timeout=settings.connect_timeout, drain_timeout=settings.drain_timeout
    )


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


def run_recorder(settings: Settings, url: str, admin: socket.socket | None) -> None:
    """Drain the spool until SIGTERM or SIGINT; serve the admin port meanwhile."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    spool = settings.data_dir / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    Recorder(url, spool, idle_window_s=settings.idle_window).run(stop)


def run_dashboard(settings: Settings, url: str, admin: socket.socket) -> None:
    """Serve the admin port alone until SIGTERM or SIGINT."""
    raise UsageError("the dashboard is not built yet")
