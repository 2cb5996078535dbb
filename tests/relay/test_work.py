"""Work is counted, not timed: calls that one small tool call costs in the relay's thread, recording and not.

Client and upstream live in threads of their own, so that the profile sees the relay alone. The bounds leave room for
other versions of the libraries; a change that crosses one has put something on the hot path.
"""

import asyncio
import contextlib
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mcp_weir.keys import Keys
from mcp_weir.relay.server import Relay, RelaySettings
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.traffic.reading import Reading

CALL = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"add","arguments":{"a":1,"b":2}}}'
RESULT = b'{"jsonrpc":"2.0","id":1,"result":{"content":[{"type":"text","text":"3"}],"isError":false}}'
REQUEST = (
    b"POST /mcp HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: application/json\r\n"
    b"Mcp-Session-Id: abc\r\nContent-Length: %d\r\n\r\n%b" % (len(CALL), CALL)
)
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(RESULT), RESULT)
COUNTED, WARM_UP = 300, 50


def answer_for_ever(listener: socket.socket) -> None:
    """An upstream that answers each request the same."""
    with contextlib.suppress(OSError), listener.accept()[0] as conn:
        while got := conn.recv(65536):
            while not got.endswith(CALL):
                got += conn.recv(65536)
            conn.sendall(ANSWER)


def ask(port: int, times: int, then: Callable[[], object]) -> None:
    """A client that asks one after the other."""
    with socket.create_connection(("127.0.0.1", port), 10) as conn:
        for number in range(times):
            conn.sendall(REQUEST)
            got = b""
            while not got.endswith(RESULT):
                got += conn.recv(65536)
            if number == WARM_UP - 1:
                then()
    then()


async def calls_per_request(offer: Callable[..., object], seen: Callable[[int], None]) -> float:
    """Calls, of Python and of C, that the relay's thread makes for one request."""
    listener = socket.create_server(("127.0.0.1", 0))
    upstream = threading.Thread(target=answer_for_ever, args=(listener,), daemon=True)
    upstream.start()
    here = socket.create_server(("127.0.0.1", 0))
    origin = f"http://127.0.0.1:{listener.getsockname()[1]}"
    relay = Relay(RelaySettings(origin, Reading(Keys(b"k" * 32, "s"))), offer, seen)
    await relay.start(here)
    counted, counting = [0], [False]

    def profile(frame: Any, event: str, arg: Any) -> None:
        if counting[0] and event in ("call", "c_call"):
            counted[0] += 1

    def switch() -> None:
        counting[0] = not counting[0]

    port = here.getsockname()[1]
    sys.setprofile(profile)
    try:
        await asyncio.to_thread(ask, port, COUNTED + WARM_UP, switch)
    finally:
        sys.setprofile(None)
    await relay.drain()
    await asyncio.to_thread(upstream.join, 5)
    listener.close()
    here.close()
    return counted[0] / COUNTED


@pytest.mark.parametrize(("recording", "bound"), [(True, 312), (False, 290)])  # measured: 271 and 253
async def test_a_small_call_costs_so_many_calls(tmp_path: Path, recording: bool, bound: int) -> None:
    writer = SpoolWriter(tmp_path, service="s", instance="i", key_id="k")
    try:
        count = await calls_per_request(
            writer.offer if recording else lambda *_: True, writer.seen if recording else lambda _: None
        )
    finally:
        writer.close()
    assert 100 < count < bound, f"{count:.0f} calls a request"
