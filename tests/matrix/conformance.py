"""The public conformance suite against one server, direct and through the weir: equal, check for check.

Also: the server's own count of JSON-RPC requests, while the suite ran through, equals the rows.
"""

import collections
import json
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

import peers
import psycopg
from run import process

from mcp_weir.store.embedded import EmbeddedPostgres
from weir_process import free_port

Checks = dict[tuple[str, str], collections.Counter[str]]


def suite(url: str) -> Checks:
    """(scenario, check) -> how often it ended how."""
    program = str(peers.MODULES / "@modelcontextprotocol" / "conformance" / "dist" / "index.js")
    with tempfile.TemporaryDirectory() as out:
        command = [str(peers.NODE), program, "server", "--url", url, "--suite", "all", "--output-dir", out]
        subprocess.run(command, capture_output=True, timeout=600)
        found: Checks = collections.defaultdict(collections.Counter)
        for path in sorted(Path(out).rglob("checks.json")):
            scenario = path.parent.name.removeprefix("server-").split("-20")[0]
            for check in json.loads(path.read_text()):
                found[scenario, check["id"]][check["status"]] += 1
    return dict(found)


def steady(url: str) -> Checks:
    """The suite direct, until two runs agree (three at most): its timings fail now and then on a busy machine."""
    found = suite(url)
    for _ in range(2):
        again = suite(url)
        if again == found:
            break
        found = again
    return found


def counted(port: int) -> collections.Counter[str]:
    """The server's own count."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/counts", timeout=10) as answer:
        return collections.Counter(json.loads(answer.read()))


def recorded(database: str) -> collections.Counter[str]:
    """Client requests in the rows, without those that never reached the server."""
    with psycopg.connect(database) as conn:
        found = conn.execute(
            "SELECT method, count(*) FROM weir.requests WHERE direction = 'client' AND method IS NOT NULL"
            " AND outcome <> 'running' GROUP BY 1"
        ).fetchall()
    return collections.Counter(dict(found))


def main() -> int:
    """Run both ways and compare."""
    peers.install()
    port, listen = free_port(), free_port()
    server = [peers.python_of("mcp1"), str(peers.HERE / "servers" / "conformance_server.py"), str(port)]
    with tempfile.TemporaryDirectory() as home:
        postgres = EmbeddedPostgres(Path(home))
        database = postgres.start()
        weir = [sys.executable, "-m", "mcp_weir", "up", "--upstream", f"http://127.0.0.1:{port}/mcp", "--listen",
                f"127.0.0.1:{listen}", "--admin", "off", "--data-dir", str(Path(home) / "weir")]
        try:
            with process(server, port), process(weir, listen, WEIR_DATABASE_URL=database):
                direct = steady(f"http://127.0.0.1:{port}/mcp")
                before = counted(port)
                through = suite(f"http://127.0.0.1:{listen}/mcp")
                sent = counted(port) - before
                deadline = time.monotonic() + 15
                while (rows := recorded(database)) != sent and time.monotonic() < deadline:
                    time.sleep(0.2)
        finally:
            postgres.stop()
    return report(direct, through, sent, rows)


def report(direct: Checks, through: Checks, sent: collections.Counter[str], rows: collections.Counter[str]) -> int:
    """Say what came out; 1 when anything differs or the suite did not run."""
    differ = [key for key in direct.keys() | through.keys() if direct.get(key) != through.get(key)]
    for key in sorted(differ):
        print(f"differs: {key[0]} {key[1]}: direct {direct.get(key)}, through {through.get(key)}")
    ended: collections.Counter[str] = collections.Counter()
    for statuses in through.values():
        ended.update(statuses)
    print(f"{len(through)} checks in {len({key[0] for key in through})} scenarios, {dict(ended)}; {len(differ)} differ")
    for key, statuses in sorted(through.items()):
        if statuses["FAILURE"] or statuses["WARNING"]:
            print(f"the server itself, both ways: {key[0]} {key[1]}: {dict(statuses)}")
    print(f"requests at the server {sent.total()}, rows {rows.total()}")
    for method in sorted(sent.keys() | rows.keys()):
        if sent[method] != rows[method]:
            print(f"rows differ: {method}: server {sent[method]}, rows {rows[method]}")
    return 1 if differ or sent != rows or len(through) < 20 else 0


if __name__ == "__main__":
    sys.exit(main())
