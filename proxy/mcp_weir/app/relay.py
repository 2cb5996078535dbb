"""A relay worker, composed: keys, spool writer, relay."""

import asyncio
import functools
import gc
import resource
import signal
import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

import uvloop

from mcp_weir.app import checks
from mcp_weir.app.following import follow_supervisor, say_ready
from mcp_weir.app.reading import check_policies, reading
from mcp_weir.app.telling import Spool, Telling
from mcp_weir.config import Settings
from mcp_weir.errors import SpoolError
from mcp_weir.keys import Keys, load_or_create
from mcp_weir.relay.forwarded import networks
from mcp_weir.relay.hosts import hosts
from mcp_weir.relay.server import Relay
from mcp_weir.relay.settings import RelaySettings
from mcp_weir.relay.tls import asking, serving
from mcp_weir.spool.late import LateWriter
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.traffic.reading import Reading


def part(settings: Settings, sock: socket.socket | None) -> None:
    """Serve on this socket (without one: on --listen) until SIGTERM or SIGINT, then drain. Raises UsageError."""
    origin, path = checks.check(settings)
    check_policies(settings, path)
    if sock is None:
        sock = checks.bind_workers(settings)[0]
    follow_supervisor()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold in clear whatever was passing
    service = settings.service or urlsplit(origin).netloc
    keys = Keys(load_or_create(settings.key_file or settings.data_dir / "key"), service)
    writer = _open_spool(functools.partial(
        SpoolWriter, settings.data_dir / "spool", service=service, instance=settings.instance or socket.gethostname(),
        key_id=keys.key_id, spool_max=settings.spool_max, keep_free=settings.keep_free,
        durability=settings.durability,
    ))
    durable = writer.synced if settings.durability == "power" else None
    relay = Relay(
        _relay_settings(settings, origin, reading(settings, keys, path)), writer.offer_all, writer.seen, durable,
        writer.lost,
    )
    try:
        uvloop.run(_serve(relay, sock, writer))
    finally:
        writer.close()


def _open_spool(make: Callable[[], SpoolWriter]) -> Spool:
    """Where the disk does not let one be made: serve, count what is lost, and try again each second."""
    try:
        return make()
    except SpoolError as error:
        return LateWriter(make, error)


def _relay_settings(settings: Settings, origin: str, read: Reading) -> RelaySettings:
    cert, key = settings.tls_cert, settings.tls_key
    https = origin.startswith("https")
    return RelaySettings(
        origin, read, connect_timeout=settings.connect_timeout, drain_timeout=settings.drain_timeout,
        head_timeout=settings.head_timeout, stream_idle_timeout=settings.stream_idle_timeout,
        max_connections=settings.max_connections, trusted=networks(settings.trusted_proxy),
        add_forwarded=settings.add_forwarded,
        hosts=hosts(settings.upstream_host, settings.allowed_host, settings.allowed_origin),
        tls=serving(cert, key) if cert and key else None,
        upstream_tls=asking(settings.upstream_ca, settings.upstream_cert, settings.upstream_key) if https else None,
        record=settings.record == "on",
    )


async def _serve(relay: Relay, sock: socket.socket, writer: Spool) -> None:
    stop = asyncio.Event()

    def on_signal() -> None:
        if stop.is_set():
            relay.hurry()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)
    await relay.start(sock)
    _calm_the_collector()
    say_ready()
    telling = Telling(relay.stats, writer)
    while not stop.is_set():
        writer.heartbeat(time.time_ns() // 1000)
        telling.look()
        try:
            await asyncio.wait_for(stop.wait(), 1)
        except TimeoutError:
            continue
    await relay.drain()


def _calm_the_collector() -> None:
    """What start-up made lives as long as we do: it is not walked again; and cycles are rare, so they wait for company.

    A tenth fewer microseconds for each request, and no pauses of milliseconds.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 50, 100)
