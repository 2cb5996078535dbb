"""What a relay is told: a value, decided once by the composition root."""

import dataclasses
import ssl

from mcp_weir.relay.forwarded import Network
from mcp_weir.relay.hosts import Hosts
from mcp_weir.traffic.reading import Reading


@dataclasses.dataclass(frozen=True, slots=True)
class RelaySettings:
    """`upstream_origin` is scheme, host and port; times in seconds; `stream_idle_timeout` 0: never."""

    upstream_origin: str
    reading: Reading
    connect_timeout: float = 5
    drain_timeout: float = 25
    head_timeout: float = 30
    stream_idle_timeout: float = 0
    max_connections: int = 8000
    trusted: tuple[Network, ...] = ()
    add_forwarded: bool = False
    hosts: Hosts | None = None
    tls: ssl.SSLContext | None = None
    upstream_tls: ssl.SSLContext | None = None
    record: bool = True


@dataclasses.dataclass(frozen=True, slots=True)
class RelayStats:
    """How a worker's relay is doing: counts of this moment, and of its life."""

    open_connections: int
    in_flight: int
    idle_upstream: int
    observer_errors: int
    refused: int
    turned_away: int
