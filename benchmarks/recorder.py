"""The recorder alone: how fast a spool that has gathered goes into Postgres: `python benchmarks/recorder.py`.

Exchanges are read from bytes by the same code that the relay uses, spooled, then drained. CPU is the recorder's own.
"""

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

import psycopg

from mcp_weir.keys import Keys
from mcp_weir.recorder.drain import Recorder
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.store.embedded import EmbeddedPostgres
from mcp_weir.traffic.exchange import Exchange, RequestHead
from mcp_weir.traffic.reading import Reading

RESULT = b'{"jsonrpc":"2.0","id":%d,"result":{"content":[{"type":"text","text":"3"}],"isError":false}}'
CALL = b'{"jsonrpc":"2.0","id":%d,"method":"tools/call","params":{"name":"tool-%d","arguments":{"a":1,"b":%d}}}'


def fill(root: Path, requests: int, sessions: int) -> None:
    """Spool so many tool calls of so many sessions, 500 a second by the wall clock."""
    keys = Keys(b"k" * 32, "bench")
    reading = Reading(keys)
    writer = SpoolWriter(root, service="bench", instance="one", key_id=keys.key_id)
    began = time.time_ns() // 1000 - requests * 2000
    for number in range(requests):
        wall_us, at = began + number * 2000, number * 2000
        headers = ((b"Mcp-Session-Id", b"session-%d" % (number % sessions)), (b"User-Agent", b"bench/1"))
        head = RequestHead("POST", "/mcp", "", headers, "127.0.0.1", number % 50, number // 50)
        exchange = Exchange(reading, number, head, wall_us, at)
        writer.seen(wall_us // 60_000_000)
        exchange.request_chunk(CALL % (number, number % 40, number), at + 10)
        exchange.request_end(at + 10)
        answer = RESULT % number
        length = (b"Content-Length", b"%d" % len(answer))
        exchange.response_head(200, ((b"Content-Type", b"application/json"), length), at + 800)
        facts = exchange.response_chunk(answer, at + 900 + number % 500)
        writer.offer([*facts, *exchange.close("complete", at + 950 + number % 500)], wall_us // 60_000_000)
    writer.close()


def drain(url: str, root: Path, requests: int) -> tuple[float, float]:
    """(seconds, CPU seconds) until every row is there."""
    recorder, stop = Recorder(url, root), threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop,))
    began, cpu = time.monotonic(), time.process_time()
    thread.start()
    while recorder.state.rows < requests and time.monotonic() - began < 300:
        time.sleep(0.02)
    found = time.monotonic() - began, time.process_time() - cpu
    stop.set()
    thread.join(60)
    return found


def main() -> int:
    """Print what came out as JSON."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--sessions", type=int, default=1000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        postgres = EmbeddedPostgres(Path(home))
        url, root = postgres.start(), Path(home) / "spool"
        root.mkdir()
        began = time.monotonic()
        fill(root, args.requests, args.sessions)
        filled = time.monotonic() - began
        seconds, cpu = drain(url, root, args.requests)
        with psycopg.connect(url) as conn:
            row = conn.execute("SELECT count(*), count(DISTINCT request_key) FROM weir.request_rows").fetchone()
        postgres.stop()
    assert row == (args.requests, args.requests), row
    print(json.dumps({
        "requests": args.requests,
        "spooled_us_each": round(filled / args.requests * 1e6, 1),
        "rows_per_s": round(args.requests / seconds),
        "recorder_cpu_us_each": round(cpu / args.requests * 1e6, 1),
    }, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
