"""What is wrong is said in one sentence: exit 1 or 2, no traceback, no password."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import aiohttp
import pytest

from weir_process import free_port, query, start_example, start_weir, wait_until

UP = ("up", "--upstream", "http://127.0.0.1:1/mcp")


def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    bare = {name: value for name, value in os.environ.items() if not name.startswith(("WEIR_", "PG"))}
    return subprocess.run(
        [sys.executable, "-m", "mcp_weir", *words], env={**bare, "WEIR_DATA_DIR": str(folder), **env},
        capture_output=True, text=True, timeout=60,
    )


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("up",), "no upstream; give --upstream"),
        (("up", "--upstream", "ftp://x/mcp"), "is no HTTP URL; write http://"),
        (("up", "--upstream", "http://[::1"), "is no HTTP URL; write http://"),
        (("up", "--upstream", "http://user:hunter2@h/mcp"), "holds a user name"),
        ((*UP, "--listen", "8052"), "is no HOST:PORT; write 127.0.0.1:8052"),
        ((*UP, "--listen", "127.0.0.1:99999"), "is no HOST:PORT"),
        ((*UP, "--idle-window", "soon"), "is no duration; write 30s"),
        ((*UP, "--capture", "everything"), "is none of off, keys"),
        ((*UP, "--database-url", "postgresql://u:hunter2@h:port/x"), "cannot be parsed"),
        ((*UP, "--config", "nowhere.toml"), "cannot read --config nowhere.toml"),
        ((*UP, "--no-such-flag",), "No such option"),
        (("nonsense",), "No such command"),
        (("sessions", "--database-url", "mysql://u:hunter2@h/x"), "cannot be parsed"),
    ],
)
def test_a_usage_error_is_a_sentence_and_exit_2(words: tuple[str, ...], says: str, tmp_path: Path) -> None:
    found = run(tmp_path, *words)
    assert found.returncode == 2, found.stderr
    assert says in found.stderr
    assert "Traceback" not in found.stderr and "hunter2" not in found.stderr + found.stdout


@pytest.mark.parametrize("words", [("sessions",), ("requests",), ("db", "migrate"), ("coverage",)])
def test_a_database_out_of_reach_fails_what_reads_it(words: tuple[str, ...], tmp_path: Path) -> None:
    url = f"postgresql://reader:hunter2@127.0.0.1:{free_port()}/weir"
    found = run(tmp_path, *words, WEIR_DATABASE_URL=url)
    assert found.returncode == 1, found.stderr
    assert "cannot reach the database at postgresql://reader:***@127.0.0.1" in found.stderr
    assert "Traceback" not in found.stderr and "hunter2" not in found.stderr + found.stdout
    assert len(found.stderr.strip().splitlines()) == 1


def test_no_database_yet_says_what_to_do(tmp_path: Path) -> None:
    found = run(tmp_path, "sessions")
    assert (found.returncode, len(found.stderr.strip().splitlines())) == (1, 1)
    assert "start `mcp-weir up` first" in found.stderr


def test_a_port_in_use_is_named(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for flag in ("--listen", "--admin"):
            other = {"--listen": "--admin", "--admin": "--listen"}[flag]
            found = run(tmp_path, *UP, flag, address, other, f"127.0.0.1:{free_port()}")
            assert found.returncode == 2
            assert f"cannot listen on {address}: Address already in use; choose another with {flag}" in found.stderr


async def test_a_database_that_is_down_does_not_stop_up(tmp_path: Path, database_url: str) -> None:
    nowhere = f"postgresql://weir:hunter2@127.0.0.1:{free_port()}/weir"
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    with start_example("--stateless", "--json") as example:
        with start_weir(example.url, tmp_path, nowhere) as weir:
            async with aiohttp.ClientSession() as http:
                headers = {"Accept": "application/json, text/event-stream"}
                async with http.post(weir.url, json=call, headers=headers) as answer:
                    assert answer.status == 200
            assert weir.log is not None
        said = weir.log.read_text()
        assert "hunter2" not in said and "Traceback" not in said
        waiting = run(tmp_path / "data", "spool", "status", "--json")
        assert '"spooled": 1' in waiting.stdout
        with start_weir(example.url, tmp_path, database_url):  # the same data directory: what waited arrives
            wait_until(lambda: query(database_url, "SELECT method FROM weir.requests") == [("tools/list",)])
