"""--upstream-host: Host is rewritten, so that the upstream's own check says nothing any more; ours takes its place."""

import dataclasses

from mcp_weir.errors import ClientFault
from mcp_weir.relay.headers import Headers, values


@dataclasses.dataclass(frozen=True, slots=True)
class Hosts:
    """The Host that goes upstream, and what clients may send. An Origin is allowed, too, where its host is."""

    upstream: bytes
    allowed: frozenset[bytes]
    origins: frozenset[bytes]

    def check(self, headers: Headers) -> None:
        """403 for a Host or an Origin that is not on the lists (DNS rebinding: MCP 2025-11-25, Security)."""
        hosts = values(headers, b"host")
        if not hosts or not self._allows(hosts[0].lower()):
            raise ClientFault(403, "this Host is not allowed here")
        for origin in values(headers, b"origin"):
            said = origin.lower()
            _, _, host = said.partition(b"://")
            if said not in self.origins and not (host and self._allows(host)):
                raise ClientFault(403, "this Origin is not allowed here")

    def rewrite(self, headers: Headers) -> Headers:
        """The same fields with the upstream's Host."""
        return tuple((name, self.upstream if name.lower() == b"host" else value) for name, value in headers)

    def _allows(self, host: bytes) -> bool:
        name, _, port = host.rpartition(b":")
        return host in self.allowed or (port.isdigit() and name in self.allowed)


def hosts(upstream: str | None, allowed: tuple[str, ...], origins: tuple[str, ...]) -> Hosts | None:
    """None where Host is kept as it came."""
    if upstream is None:
        return None
    lower = [frozenset(text.lower().encode() for text in texts) for texts in (allowed, origins)]
    return Hosts(upstream.encode(), lower[0], lower[1])
