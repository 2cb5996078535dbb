"""The recorder alone: how fast a spool that has gathered goes into Postgres: `python benchmarks/recorder.py`.

Exchanges are read from bytes by the same code that the relay uses, spooled, then drained. CPU is the recorder's own.
"""

import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg
import results

from mcp_weir.app.recorder import tune_process
from mcp_weir.keys import Keys
from mcp_weir.recorder.drain import Recorder
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.store.embedded import EmbeddedPostgres
from mcp_weir.traffic.exchange import Exchange, RequestHead
from mcp_weir.traffic.reading import Reading

RESULT = b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"3"}],"isError":false}}'
CALL = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"tool-%d","arguments":{"a":1,"b":%d}}}'


HELLO = (
    b'{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},'
    b'"clientInfo":{"name":"bench","version":"1"}}}'
)
WELCOME = (
    b'{"jsonrpc":"2.0","id":0,"result":{"protocolVersion":"2025-11-25","capabilities":{},'
    b'"serverInfo":{"name":"server","version":"1"}}}'
)


class Spooling:
    """Exchanges as a relay would spool them, 500 a second by the wall clock; without sessions, at the present time.

    Derived sessions are settled behind what the heartbeats say: times must agree with them.
    """

    def __init__(self, root: Path, requests: int) -> None:
        keys = Keys(b"k" * 32, "bench")
        self._reading = Reading(keys)
        self._writer = SpoolWriter(root, service="bench", instance="one", key_id=keys.key_id)
        self._began = time.time_ns() // 1000 - requests * 2000
        self._number = 0

    def exchange(self, session: int | None, body: bytes, answer: bytes, *, begins: bool = False) -> None:
        """One POST and its JSON answer."""
        self._number += 1
        if session is None and self._number % 500 == 0:
            self._writer.heartbeat(time.time_ns() // 1000)
        number, at = self._number, self._number * 2000
        wall_us, named = self._began + at, (b"Mcp-Session-Id", b"session-%d" % (session or 0))
        headers = (named, (b"User-Agent", b"bench/1"))
        if begins or session is None:
            headers = headers[1:]
        if session is None:
            wall_us = time.time_ns() // 1000
        connection = (number % 16 if session is None else session % 50) + 1
        head = RequestHead("POST", "/mcp", "", headers, "127.0.0.1", connection, number)
        exchange = Exchange(self._reading, number, head, wall_us, at)
        self._writer.seen(wall_us // 60_000_000)
        exchange.request_chunk(body, at + 10)
        exchange.request_end(at + 10)
        got = ((b"Content-Type", b"application/json"), (b"Content-Length", b"%d" % len(answer)))
        exchange.response_head(200, (*got, named) if begins else got, at + 800)
        facts = exchange.response_chunk(answer, at + 900)
        self._writer.offer([*facts, *exchange.close("complete", at + 950)], wall_us // 60_000_000)

    def close(self) -> None:
        """The worker has ended."""
        self._writer.heartbeat(time.time_ns() // 1000)
        self._writer.close()


def fill(root: Path, requests: int, sessions: int) -> None:
    """So many requests of so many sessions, each begun by `initialize`; of none: one client over 16 connections."""
    spooling = Spooling(root, requests)
    for session in range(sessions):
        spooling.exchange(session, HELLO, WELCOME, begins=True)
    for number in range(requests - sessions):
        session = number % sessions if sessions else None
        spooling.exchange(session, CALL % (number, number % 40, number), RESULT % number)
    spooling.close()


def drain(url: str, root: Path, requests: int) -> dict[str, float]:
    """What it took until every row is there, and until every request has its derived session."""
    recorder, stop = Recorder(url, root), threading.Event()
    tune_process()
    thread = threading.Thread(target=recorder.run, args=(stop,))
    began, cpu = time.monotonic(), time.process_time()
    thread.start()
    while recorder.state.rows < requests and time.monotonic() - began < 300:
        time.sleep(0.02)
    seconds, used = time.monotonic() - began, time.process_time() - cpu
    with psycopg.connect(url, autocommit=True) as conn:
        while conn.execute("SELECT EXISTS (SELECT FROM weir.derived_queue)").fetchone() == (True,):
            time.sleep(0.05)
    settled, settled_cpu = time.monotonic() - began, time.process_time() - cpu
    stop.set()
    thread.join(60)
    return {
        "rows_per_s": round(requests / seconds), "recorder_cpu_us_each": round(used / requests * 1e6, 1),
        "drained_s": round(seconds, 1), "settled_s": round(settled, 1),
        "settled_cpu_us_each": round(settled_cpu / requests * 1e6, 1), "quick": recorder.state.quick,
    }


def main() -> int:
    """Print what came out as JSON."""
    parser = results.parser("The recorder alone.")
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--sessions", type=int, default=1000, help="0: no session ids, as in the stateless era")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        postgres = EmbeddedPostgres(Path(home))
        url, root = postgres.start(), Path(home) / "spool"
        root.mkdir()
        began = time.monotonic()
        fill(root, args.requests, args.sessions)
        filled = time.monotonic() - began
        found = drain(url, root, args.requests)
        with psycopg.connect(url) as conn:
            row = conn.execute("SELECT count(*), count(DISTINCT request_key) FROM weir.request_rows").fetchone()
        postgres.stop()
    assert row == (args.requests, args.requests), row
    return results.say("recorder", {
        "requests": args.requests,
        "spooled_us_each": round(filled / args.requests * 1e6, 1),
        **found,
    }, args.keep)


if __name__ == "__main__":
    sys.exit(main())
