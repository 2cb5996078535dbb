"""A relay that records, as a process of its own, for whoever counts what it does: `serving.py UPSTREAM_PORT`.

Says its port, serves until its standard input ends. The collector is off, so that every count is of the requests.
"""

import asyncio
import gc
import socket
import sys
import tempfile
from pathlib import Path

import uvloop

from mcp_weir.keys import Keys
from mcp_weir.relay.server import Relay, RelaySettings
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.traffic.reading import Reading


async def serve(upstream: int) -> None:
    """Until standard input ends."""
    with tempfile.TemporaryDirectory() as home, socket.create_server(("127.0.0.1", 0)) as here:
        writer = SpoolWriter(Path(home), service="s", instance="i", key_id="k")
        reading = Reading(Keys(b"k" * 32, "s"))
        relay = Relay(RelaySettings(f"http://127.0.0.1:{upstream}", reading), writer.offer_all, writer.seen)
        await relay.start(here)
        gc.disable()
        print(here.getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await relay.drain()
        writer.close()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1])))
