"""Who the client is when a proxy stands before us, and what we say of it to the upstream (RFC 7239).

A header is believed only from a configured network, and only as far as the networks reach: the rightmost address
that is not ours is the client, whatever it claims to the left of that.
"""

import ipaddress
import re
from collections.abc import Iterable
from typing import NamedTuple

from mcp_weir.errors import UsageError
from mcp_weir.relay.headers import Headers, values

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
_ELEMENT = re.compile(r'(?:[^,"]|"(?:[^"\\]|\\.)*")+')
_PAIR = re.compile(r'(?:[^;"]|"(?:[^"\\]|\\.)*")+')
_NODE = re.compile(r"\[([0-9A-Fa-f:.%]+)\](?::\d+)?|(\d+\.\d+\.\d+\.\d+)(?::\d+)?|([0-9A-Fa-f:]+)")


class Client(NamedTuple):
    """The client's address, and whether a trusted proxy told it."""

    address: str | None
    proxied: bool


def networks(cidrs: Iterable[str]) -> tuple[Network, ...]:
    """Raises UsageError for what is no CIDR."""
    try:
        return tuple(ipaddress.ip_network(cidr, strict=False) for cidr in cidrs)
    except ValueError:
        raise UsageError("--trusted-proxy takes CIDRs; write 10.0.0.0/8 or 127.0.0.1") from None


def client_of(headers: Headers, peer: str | None, trusted: tuple[Network, ...]) -> Client:
    """The client behind `peer`. Two headers that disagree prove nothing: then it is the proxy's own address."""
    if peer is None or not trusted or not _within(peer, trusted):
        return Client(peer, False)
    said = [
        _rightmost(chain, peer, trusted)
        for name, read in ((b"forwarded", _forwarded), (b"x-forwarded-for", _x_forwarded_for))
        if (chain := read(b", ".join(values(headers, name)).decode("latin-1")))
    ]
    return Client(said[0] if said and len(set(said)) == 1 else peer, True)


def element(peer: str | None, host: bytes | None, tls: bool) -> bytes:
    """What we add under --add-forwarded."""
    node = "unknown" if peer is None else f'"[{peer}]"' if ":" in peer else peer
    said = f"for={node};proto={'https' if tls else 'http'}".encode()
    if host is not None:
        quoted = host.replace(b"\\", b"\\\\").replace(b'"', b'\\"')
        said += b';host="%b"' % quoted
    return said


def _rightmost(chain: list[str | None], peer: str, trusted: tuple[Network, ...]) -> str:
    found = peer
    for hop in reversed(chain):
        if hop is None:  # `unknown`, `_hidden`, or damaged: nothing to the left of it can be checked
            return found
        found = hop
        if not _within(hop, trusted):
            return found
    return found


def _forwarded(text: str) -> list[str | None]:
    return [_for(part) for part in _ELEMENT.findall(text) if part.strip()]


def _for(part: str) -> str | None:
    for pair in _PAIR.findall(part):
        name, _, value = pair.partition("=")
        if name.strip().lower() == "for":
            return _address(value.strip().strip('"'))
    return None


def _x_forwarded_for(text: str) -> list[str | None]:
    return [_address(part.strip()) for part in text.split(",") if part.strip()]


def _address(node: str) -> str | None:
    found = _NODE.fullmatch(node)
    if found is None:
        return None
    try:
        return str(ipaddress.ip_address(found[1] or found[2] or found[3]))
    except ValueError:
        return None


def _within(address: str, trusted: tuple[Network, ...]) -> bool:
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return any((mapped or found) in network for network in trusted if network.version == (mapped or found).version)
