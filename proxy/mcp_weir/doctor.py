"""What will not work, found before it does not: one check a line, each saying what to do."""

import dataclasses
import importlib.util
import ipaddress
import json
import os
import resource
import shutil
import socket
import stat
import sys
import urllib.request
from pathlib import Path
from urllib.parse import urlsplit

from mcp_weir.config import Settings
from mcp_weir.store.masking import mask

_MIB = 1 << 20


@dataclasses.dataclass(frozen=True, slots=True)
class Check:
    """One finding; `ok` is None for a remark."""

    name: str
    ok: bool | None
    says: str


def examine(settings: Settings, database: Check) -> list[Check]:
    """Every check that these settings allow; `database` comes last."""
    found = [_python(), _files(), _directory(settings.data_dir), _key(settings)]
    if settings.upstream:
        found.append(upstream(settings.upstream))
        said = warnings(settings.upstream, settings.listen, settings.upstream_host, sys.argv)
        found.extend(Check("warning", None, text) for text in said)
    else:
        found.append(Check("upstream", None, "no --upstream given: not checked"))
    found.append(_port(settings.listen))
    found.append(database)
    return found


def warnings(upstream: str, listen: str, upstream_host: str | None, argv: list[str]) -> list[str]:
    """What will surprise somebody later although everything starts."""
    said = []
    parts = urlsplit(upstream)
    if upstream_host is None and not _near(parts.hostname or ""):
        said.append(
            f"the upstream is remote and will see Host: {listen}; if it answers 421 or 403, give"
            f" --upstream-host {parts.netloc} with --allowed-host"
        )
    if any(mask(word) != word for word in argv):
        said.append("a password stands in the command line, where every user sees it; use WEIR_DATABASE_URL")
    if any(word.startswith("--admin-token") for word in argv):
        said.append("the admin token stands in the command line, where every user sees it; use WEIR_ADMIN_TOKEN")
    named = _oauth_resource(upstream)
    if named and urlsplit(named).netloc == parts.netloc:
        said.append(
            f"the server's OAuth metadata names itself ({named}): clients that compare it with {listen} will refuse;"
            " configure the server's public URL as the weir's"
        )
    return said


def _oauth_resource(upstream: str) -> str | None:
    parts = urlsplit(upstream)
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for path in (f"/.well-known/oauth-protected-resource{parts.path}", "/.well-known/oauth-protected-resource"):
        try:
            with opener.open(f"{parts.scheme}://{parts.netloc}{path}", timeout=1) as answer:
                found = json.loads(answer.read(65536)).get("resource")
                return found if isinstance(found, str) else None
        except (OSError, ValueError, AttributeError):
            continue
    return None


def _near(host: str) -> bool:
    if host == "localhost" or "." not in host and ":" not in host:
        return True  # a name without a dot is a neighbour: a container, a service
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _python() -> Check:
    fast = importlib.util.find_spec("aiohttp._http_parser") is not None  # at no import: `up` stays small
    version = ".".join(map(str, sys.version_info[:3]))
    return Check("python", fast, f"{version}" + ("" if fast else ": aiohttp has no C parser; install a binary wheel"))


def _files() -> Check:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    few = soft < 4096
    said = f"{soft} (limit {hard}); a proxied stream takes two" + ("; raise with ulimit -n" if few else "")
    return Check("descriptors", None if few else True, said)


def _directory(data_dir: Path) -> Check:
    parent = next(p for p in (data_dir, *data_dir.parents) if p.exists())
    if not parent.is_dir():
        return Check("data dir", False, f"{parent} is no directory; choose another with --data-dir")
    free = shutil.disk_usage(parent).free // _MIB
    if not os.access(parent, os.W_OK):
        return Check("data dir", False, f"{data_dir} cannot be written; choose another with --data-dir")
    if free < 1024:
        return Check("data dir", False, f"{data_dir}: {free} MiB free; the spool stops at 512 MiB")
    return Check("data dir", True, f"{data_dir}, {free} MiB free")


def _key(settings: Settings) -> Check:
    path = settings.key_file or settings.data_dir / "key"
    if not path.exists():
        return Check("key", None, f"{path} will be made on first start")
    open_to_all = stat.S_IMODE(path.stat().st_mode) & 0o077
    said = f"{path} can be read by others; chmod 600 {path}" if open_to_all else str(path)
    return Check("key", not open_to_all, said)


def upstream(url: str) -> Check:
    """Whether something accepts connections there. Never a request: each probe makes a session in some servers."""
    parts = urlsplit(url)
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
        socket.create_connection((parts.hostname or "", port), 3).close()
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else "no answer"
        return Check("upstream", False, f"{url}: {why}; start the server or mend --upstream")
    return Check("upstream", True, f"{url} accepts connections")


def _port(listen: str) -> Check:
    host, _, port = listen.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), 1):
            return Check("listen", None, f"{listen} is in use (by a running weir, perhaps)")
    except (OSError, ValueError):
        return Check("listen", True, f"{listen} is free")
