"""What has to be true before anything starts: the upstream's URL, sockets; and the welcome."""

import ipaddress
import os
import socket
from urllib.parse import urlsplit

from mcp_weir.config import Settings
from mcp_weir.errors import UsageError
from mcp_weir.store.masking import mask

_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")
_ANY = ("0.0.0.0", "::", "")


def split_upstream(url: str) -> tuple[str, str]:
    """(origin, MCP path); UsageError for what is no http(s) URL."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    if parts.scheme not in ("http", "https") or not parts.hostname or (port is not None and port == 0):
        raise UsageError(f"--upstream {mask(url)!r} is no HTTP URL; write http://127.0.0.1:8051/mcp")
    if parts.username is not None:
        raise UsageError("--upstream holds a user name; clients send their own credentials, write it without")
    if parts.query or parts.fragment:
        raise UsageError("--upstream ends at its path; clients write their own query after ours, write it without")
    return f"{parts.scheme}://{parts.netloc}", parts.path or "/mcp"


def check(settings: Settings) -> tuple[str, str]:
    """What every relay needs, said before anything starts; returns split_upstream's. Raises UsageError.

    Policies apart: reading.check_policies().
    """
    if not settings.upstream:
        raise UsageError("no upstream; give --upstream http://127.0.0.1:8051/mcp, the MCP server's URL")
    if settings.upstream_host and not settings.allowed_host:
        raise UsageError("--upstream-host rewrites Host: say with --allowed-host which Host clients may send")
    if bool(settings.tls_cert) != bool(settings.tls_key):
        raise UsageError("--tls-cert and --tls-key go together")
    origin, path = split_upstream(settings.upstream)
    for address, named in ((settings.listen, "--listen"), (settings.admin, "--admin")):
        if _leads_to(origin, address):
            raise UsageError(f"--upstream {settings.upstream} is our own {named}: write the MCP server's address")
    return origin, path


def database(settings: Settings) -> str | None:
    """The database's URL, as it was given; "postgresql://" for libpq's own variables, None for the embedded one."""
    return settings.database_url or ("postgresql://" if any(os.environ.get(name) for name in _LIBPQ) else None)


def bind_workers(settings: Settings) -> list[socket.socket]:
    """One SO_REUSEPORT socket for each worker. Raises UsageError when the address is malformed or taken."""
    _bind(settings.listen, "--listen", shared=False).close()  # SO_REUSEPORT alone would share another weir's port
    first = _bind(settings.listen, "--listen", shared=True)
    host = settings.listen.rpartition(":")[0]
    address = f"{host}:{first.getsockname()[1]}"
    return [first, *(_bind(address, "--listen", shared=True) for _ in range(settings.workers - 1))]


def bind_admin(settings: Settings) -> socket.socket | None:
    """The admin port's socket; None when it is off. UsageError when it is open to others and no token is set."""
    if settings.admin != "off" and not settings.admin_token and not _is_loopback(settings.admin.rpartition(":")[0]):
        raise UsageError(
            f"--admin {settings.admin} can be reached from outside: set WEIR_ADMIN_TOKEN, or listen on 127.0.0.1"
        )
    return None if settings.admin == "off" else _bind(settings.admin, "--admin", shared=False)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def _leads_to(origin: str, address: str) -> bool:
    """The origin is what we listen on, as far as names tell without asking DNS."""
    parts = urlsplit(origin)
    host, _, port = address.rpartition(":")
    host, asked = host.strip("[]"), parts.hostname or ""
    if not port.isdigit() or int(port) != (parts.port or {"http": 80, "https": 443}[parts.scheme]):
        return False
    near = _is_loopback(asked) or asked in _ANY
    return asked == host or near and (host in _ANY or _is_loopback(host))


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
    here = f"{scheme}://{_reachable(settings.listen)}{path}"
    lines = [
        f"mcp-weir: {here} -> {settings.upstream}",
        f"  dashboard    {'off' if settings.admin == 'off' else f'http://{_reachable(settings.admin)}/'}",
        f"  database     {mask(url)}",
        f"  data         {settings.data_dir}",
        f"  Claude Code  claude mcp add --transport http NAME {here}",
        f'  Cursor, mcp.json  {{"mcpServers": {{"NAME": {{"url": "{here}"}}}}}}',
    ]
    return "\n".join(lines)


def _reachable(address: str) -> str:
    """The address as a client on this host writes it: a wildcard is none."""
    host, _, port = address.rpartition(":")
    return f"localhost:{port}" if host.strip("[]") in _ANY else address
