"""Who may see the admin port. A page on the internet must never read it through the operator's browser.

Host is checked against names that only we answer to (DNS rebinding), Origin against Host (cross-site requests), and a
token is asked for wherever one is set. Cookies are not bound to a port, so the cookie is never the token itself: it is
a MAC under a secret that lives as long as this process.
"""

import hashlib
import hmac
import secrets
import time
from urllib.parse import urlsplit

from aiohttp import web

COOKIE = "weir_admin"
LOGIN_LIFE_S = 12 * 3600
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# Files of this package, the same for everyone; the login page needs them.
PUBLIC_PREFIX = "/static/"
LOGIN = "/login"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self';"
        " frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}


class Refused(Exception):
    """Access denied: `status` and a sentence that says what to do."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Access:
    """Decides on one request; holds no state but the secret that cookies are made with."""

    def __init__(self, token: str | None, hosts: tuple[str, ...]) -> None:
        self._token = hashlib.sha256(token.encode()).digest() if token else None
        self._hosts = LOOPBACK_NAMES | {_bare(host) for host in hosts}
        self._secret = secrets.token_bytes(32)

    def admit(self, request: web.Request) -> None:
        """Return if this request may be answered; raise Refused if not."""
        self._check_host(request)
        self._check_origin(request)
        if request.method not in ("GET", "HEAD") and (request.method, request.path) != ("POST", LOGIN):
            raise Refused(405, "the admin port is read-only: GET and HEAD")
        if request.path == LOGIN or request.path.startswith(PUBLIC_PREFIX):
            return
        if not self._has_token(request):
            raise Refused(401, "a token is needed: log in, or send Authorization: Bearer TOKEN")

    def login(self, given: str) -> str | None:
        """A cookie's value for the right token, None for a wrong one."""
        if self._token is None or not self._is_token(given):
            return None
        until = str(int(time.time()) + LOGIN_LIFE_S)
        return f"{until}.{self._mac(until)}"

    def _check_host(self, request: web.Request) -> None:
        host = _bare(request.headers.get("Host", ""))
        if host in self._hosts:
            return
        here = request.transport.get_extra_info("sockname") if request.transport else None
        if here is not None and host == here[0]:  # the very address that was connected to cannot be rebound
            return
        raise Refused(421, "this name is not known here; allow it with --admin-host")

    def _check_origin(self, request: web.Request) -> None:
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc.lower() != request.headers.get("Host", "").lower():
            raise Refused(403, "a page of another origin asked")

    def _has_token(self, request: web.Request) -> bool:
        if self._token is None:
            return True
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(given.strip()):
            return True
        until, _, mac = request.cookies.get(COOKIE, "").partition(".")
        fresh = until.isascii() and until.isdigit() and len(until) < 12 and int(until) > time.time()
        return fresh and hmac.compare_digest(mac.encode("utf-8", "surrogateescape"), self._mac(until).encode())

    def _is_token(self, given: str) -> bool:
        said = hashlib.sha256(given.encode("utf-8", "surrogateescape")).digest()
        return self._token is not None and hmac.compare_digest(said, self._token)

    def _mac(self, until: str) -> str:
        assert self._token is not None
        return hmac.new(self._secret, self._token + until.encode(), hashlib.sha256).hexdigest()


def _bare(host: str) -> str:
    """The name in a Host value: no port, no brackets, no final dot, lower case."""
    host = host.strip().lower()
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return (host if host.count(":") > 1 else host.partition(":")[0]).rstrip(".")
