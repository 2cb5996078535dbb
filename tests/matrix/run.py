"""The matrix: real servers x real clients, direct and through the weir: `make matrix`, `make matrix-quick`.

A cell passes when the client saw the same both ways, and the rows equal what the client knows that it did.
Prints a Markdown table; exits 1 when a cell fails. A cell that fails without the weir too says so.
Outcomes are kept in `.matrix/results.jsonl` with a digest of their code: `--resume` runs what has not passed on it.
"""

import argparse
import collections
import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import peers
import psycopg
from results import Results, table
from tap import Tap

from mcp_weir.store.embedded import EmbeddedPostgres
from weir_process import Running, free_port, wait_for_port

CALLS = [
    ["echo", {"message": "hé 😀 \u05e9\u05dc\u05d5\u05dd"}],
    ["get-sum", {"a": 1, "b": 2}],
    ["echo", {"message": "x" * 50_000}],
    ["fail", {}],
    ["get-sum", {"a": "no", "b": 2}],
]
INSPECTED = [CALLS[0], CALLS[1], CALLS[3]]  # a process each: fewer, and none beyond the length of a command line
_START_S = 180  # a cold start of a peer on a machine that is busy with others
ROWS = """
    SELECT method, target, outcome, count(*) FROM weir.requests
    WHERE service = %s AND direction = 'client' AND method IN ('initialize', 'tools/list', 'tools/call')
    GROUP BY 1, 2, 3
"""


@contextlib.contextmanager
def process(command: list[str], port: int, **env: str) -> Iterator[None]:
    """A child that listens on `port`, ended afterwards; what it said is shown when it does not start."""
    with tempfile.TemporaryFile() as log:
        running = Running(port, subprocess.Popen(command, env={**os.environ, **env}, stdout=log, stderr=log))
        try:
            wait_for_port(port, running.child, _START_S)
            yield
        except AssertionError:
            log.seek(0)
            sys.stderr.write(log.read()[-2000:].decode(errors="replace"))
            raise
        finally:
            with contextlib.suppress(subprocess.TimeoutExpired):  # not every peer ends when it is asked
                running.stop()


def converse(client: peers.Client, url: str) -> list[Any] | None:
    """What the client says that it did; None when it failed."""
    calls = INSPECTED if client.name == "inspector" else CALLS
    command = [*client.command, url, json.dumps(calls)]
    if client.name == "mcp-remote":
        command += [url if word == "URL" else word for word in peers.remote_command(client.transport)]
    with tempfile.TemporaryDirectory() as home:
        env = {**os.environ, "MCP_REMOTE_CONFIG_DIR": home, "NO_COLOR": "1"}
        try:
            run = subprocess.run(command, capture_output=True, text=True, timeout=90, env=env)
        except subprocess.TimeoutExpired:
            return None
    try:
        done: list[Any] = json.loads(run.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        return None
    return done


def wanted(done: list[Any], sent: collections.Counter[str]) -> collections.Counter[tuple[Any, ...]]:
    """The rows that must be there: what the client says, and what it sent without saying (all of which succeeds).

    What it refused by itself (the Inspector knows the tools it listed) was never sent, so that no row can be.
    """
    unsent = collections.Counter(method for method, *_ in done) - sent
    rows: collections.Counter[tuple[Any, ...]] = collections.Counter()
    for method, target, outcome, _ in done:
        if outcome == "rpc_error" and unsent[method]:
            unsent[method] -= 1
        else:
            rows[method, target, outcome] += 1
    said = collections.Counter(method for method, *_ in done)
    for method, count in (sent - said).items():
        rows[method, None, "ok"] += count
    return rows


class Cell:
    """One client against one server, both ways."""

    def __init__(self, server: peers.Server, client: peers.Client, database: str, service: str) -> None:
        self.server, self.client, self.database, self.service = server, client, database, service

    def verdict(self, port: int, listen: int) -> str:
        """`ok`, or what is wrong: the server on `port`, the weir on `listen`."""
        tap = Tap(port)
        alone = converse(self.client, f"http://127.0.0.1:{tap.port}{self.server.path}")
        tap.close()
        before = self.rows()
        seen = converse(self.client, f"http://127.0.0.1:{listen}{self.server.path}")
        if alone is None or all(entry[2] == "rpc_error" for entry in alone):
            return "fails without the weir too" if seen == alone else "FAIL: differs, direct fails"
        if seen != alone:
            return f"FAIL: saw {_difference(alone, seen)}"
        want = wanted(seen, tap.counts())
        deadline = time.monotonic() + 8
        while (got := self.rows() - before) != want and time.monotonic() < deadline:
            time.sleep(0.1)
        return "ok" if got == want else f"FAIL: rows {dict(got - want)} too many, {dict(want - got)} missing"

    def rows(self) -> collections.Counter[tuple[Any, ...]]:
        """What the weir has recorded of this server so far."""
        with psycopg.connect(self.database) as conn:
            found = conn.execute(ROWS, (self.service,)).fetchall()
        return collections.Counter({(method, target, outcome): n for method, target, outcome, n in found})


def _difference(alone: list[Any], seen: list[Any] | None) -> str:
    if seen is None:
        return "nothing (the client failed)"
    return "; ".join(f"{b} for {a}" for a, b in zip(alone, seen, strict=False) if a != b)


def run_server(
    server: peers.Server, clients: list[peers.Client], database: str, home: Path
) -> Iterator[tuple[str, str]]:
    """The cells of one server as they are done: (client, verdict)."""
    port, listen = free_port(), free_port()
    service = f"{server.name} {server.mode}"
    weir = [sys.executable, "-m", "mcp_weir", "up", "--upstream", f"http://127.0.0.1:{port}{server.path}",
            "--listen", f"127.0.0.1:{listen}", "--admin", "off", "--service", service,
            "--data-dir", str(home / service.replace(" ", "-")), "--log-level", "warning"]
    for path in (server.path, "/messages/", "/message"):
        weir += ["--mcp-path", path]
    with process([*server.command, str(port)], port, PORT=str(port)), process(weir, listen, WEIR_DATABASE_URL=database):
        for client in clients:
            cell = Cell(server, client, database, service)
            yield client.name, cell.verdict(port, listen)


def chosen(args: argparse.Namespace, results: Results) -> list[tuple[peers.Server, list[peers.Client]]]:
    """Which cells to run."""
    found = []
    for server, clients in peers.diagonal() if args.quick else peers.pairs():
        if args.server and not f"{server.name} {server.mode}".startswith(args.server):
            continue
        wanted = [client for client in clients if args.client in (None, client.name)
                  and not (args.resume and results.passed(server, client))]
        if wanted:
            found.append((server, wanted))
    return found


def _run(
    server: peers.Server, clients: list[peers.Client], database: str, home: Path, results: Results
) -> None:
    """The cells of one server; where it does not start, all that are left have failed, and the next is begun."""
    left = [client.name for client in clients]
    try:
        for client, verdict in run_server(server, clients, database, home):
            print(f"{server.name} {server.mode:14} {client:14} {verdict}", file=sys.stderr, flush=True)
            results.add(server, client, verdict)
            left.remove(client)
    except AssertionError as error:
        for client in left:
            results.add(server, client, f"FAIL: {error}")


def main() -> int:
    """Run the cells and print the table."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a diagonal: every server, mode and client at least once")
    parser.add_argument("--server", help="only servers whose name and mode begin so")
    parser.add_argument("--client", help="only this client")
    parser.add_argument("--resume", action="store_true", help="only what has not passed on the code as it stands")
    parser.add_argument("--write", action="store_true", help="put the table of this code into docs/matrix.md")
    parser.add_argument("--jobs", type=int, default=2, help="servers at once")
    args = parser.parse_args()
    peers.install()
    results = Results()
    with tempfile.TemporaryDirectory() as home:
        postgres = EmbeddedPostgres(Path(home))
        database = postgres.start()
        try:
            with ThreadPoolExecutor(args.jobs) as pool:
                for done in [pool.submit(_run, *one, database, Path(home), results) for one in chosen(args, results)]:
                    done.result()
        finally:
            postgres.stop()
    cells = results.cells()
    print(table(cells))
    if args.write:
        results.write()
    failed = [cell for cell in cells if cell[3].startswith("FAIL")]
    print(f"\n{len(cells) - len(failed)} passed, {len(failed)} failed (code {results.state})")
    return 1 if failed or not cells else 0


if __name__ == "__main__":
    sys.exit(main())
