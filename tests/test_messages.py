"""What a person reads when something is wrong from the start: one line, what to do, no traceback, nothing changed."""

import socket
import subprocess
import sys
import uuid
from pathlib import Path

import psycopg
import pytest

from spooling import writer_at
from weir_process import free_port, query, start_weir, wait_until

NOBODY = f"http://127.0.0.1:{free_port()}/mcp"


def weir(folder: Path, *words: str) -> tuple[int, str]:
    """Run a command that ends by itself; (exit code, what it said on stderr)."""
    command = [sys.executable, "-m", "mcp_weir", *words, "--data-dir", str(folder / "data")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, cwd=folder)
    assert "Traceback" not in done.stderr
    return done.returncode, done.stderr.strip()


def up_again() -> tuple[str, ...]:
    return "up", "--upstream", NOBODY, "--listen", f"127.0.0.1:{free_port()}", "--admin", "off"


@pytest.mark.parametrize(("words", "says"), [
    (("--upstream", "http://localhost:{port}/mcp"), "is our own --listen: write the MCP server's address"),
    (("--upstream", "http://127.0.0.1:{admin}/mcp"), "is our own --admin"),
    (("--upstream", f"{NOBODY}?api_key=s3cret"), "clients write their own query after ours, write it without"),
    (("--upstream", NOBODY, "--trusted-proxy", "10.0.0.0/33"), "--trusted-proxy takes CIDRs; write 10.0.0.0/8"),
    (("--upstream", NOBODY, "--tls-cert", "none.pem", "--tls-key", "none.pem"), "--tls-cert none.pem"),
    (("--upstream", NOBODY, "--config", "near.toml"), "did you mean 'idle_window'?"),
    (("--upstream", NOBODY, "--config", "section.toml"), "the file has no sections"),
    (("--upstream", NOBODY, "--data-dir", "file"), "cannot use the data directory"),
    (("--upstream", NOBODY, "--otel-endpoint", "localhost:4318"), "OTLP/HTTP base"),
])
def test_what_cannot_start_says_one_line(words: tuple[str, ...], says: str, database_url: str, tmp_path: Path) -> None:
    (tmp_path / "near.toml").write_text('idle_windw = "3m"\n')
    (tmp_path / "section.toml").write_text('[relay]\nlisten = "x"\n')
    (tmp_path / "file").write_text("kept")
    port, admin = free_port(), free_port()
    said = [word.format(port=port, admin=admin) for word in words]
    command = [sys.executable, "-m", "mcp_weir", "up", "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}",
               "--data-dir", str(tmp_path / "data"), "--database-url", database_url, *said]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, cwd=tmp_path)
    assert done.returncode == 2 and done.stdout == "", done
    assert says in done.stderr and len(done.stderr.strip().splitlines()) == 1, done.stderr
    assert "s3cret" not in done.stderr
    assert (tmp_path / "file").read_text() == "kept"


def test_a_port_that_is_taken_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert weir(tmp_path, "up", "--upstream", NOBODY, "--listen", address) == (
            2, f"mcp-weir: cannot listen on {address}: Address already in use; choose another with --listen")


def test_an_upstream_that_is_down_is_a_warning_and_a_second_up_is_refused(database_url: str, tmp_path: Path) -> None:
    with start_weir(NOBODY, tmp_path, database_url) as running:
        assert running.log is not None
        log = running.log
        wait_until(lambda: f"warning: {NOBODY}: Connection refused" in log.read_text())
        code, said = weir(tmp_path, *up_again(), "--database-url", database_url)
        assert code == 2 and said.startswith("mcp-weir: another recorder drains"), said


@pytest.mark.parametrize(("name", "words"), [
    ("recorder", up_again()), ("up", up_again()), ("recorder", ("recorder", "--admin", "off"))])
def test_a_lock_that_cannot_be_had_says_why_and_what_to_do(
    name: str, words: tuple[str, ...], database_url: str, tmp_path: Path
) -> None:
    """A read-only disk, a full one, somebody else's file: whatever it is that open(2) says."""
    lock = tmp_path / "data" / f"{name}.lock"
    lock.mkdir(parents=True)
    code, said = weir(tmp_path, *words, "--database-url", database_url)
    assert (code, said) == (2, f"mcp-weir: cannot use the data directory {lock.parent}: {lock.name}: Is a directory;"
                               " mend that, or choose another with --data-dir")


def test_nor_can_the_lock_of_the_embedded_database(tmp_path: Path) -> None:
    for name in ("postgres", "postgres.lock"):
        (tmp_path / "data" / name).mkdir(parents=True)
    code, said = weir(tmp_path, "sessions")
    assert code == 1 and said.startswith("mcp-weir: cannot use ") and "postgres.lock: Is a directory; mend that" in said


def test_a_cluster_of_another_postgres_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "data" / "postgres"
    folder.mkdir(parents=True)
    (folder / "PG_VERSION").write_text("13\n")
    for words in (up_again(), ("sessions",)):
        code, said = weir(tmp_path, *words)
        assert code == 1 and "was made by PostgreSQL 13" in said and "--data-dir" in said
    assert [path.name for path in folder.iterdir()] == ["PG_VERSION"]


def test_a_database_that_refuses_the_login_stops_no_traffic_and_is_said_without_the_password(
    database_url: str, tmp_path: Path
) -> None:
    wrong = database_url.replace("postgres:@", "nobody:hush@", 1)
    assert wrong != database_url
    code, said = weir(tmp_path, "sessions", "--database-url", wrong)
    assert code == 1 and 'role "nobody" does not exist' in said and "hush" not in said
    with start_weir(NOBODY, tmp_path, wrong) as running:
        assert running.log is not None
        log = running.log
        wait_until(lambda: 'role \\"nobody\\" does not exist' in log.read_text())
        assert "hush" not in log.read_text()
    assert query(database_url, "SELECT 1 FROM weir.requests") == []


def test_a_role_that_may_not_make_the_schema_is_told_what_it_lacks(postgres_url: str, tmp_path: Path) -> None:
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
        conn.execute(f"CREATE ROLE {name} LOGIN".encode())
    theirs = postgres_url.replace("postgres:@/postgres", f"{name}:@/{name}", 1)
    assert theirs != postgres_url
    for words in (("db", "migrate"), ("db", "prune")):
        code, said = weir(tmp_path, *words, "--database-url", theirs)
        assert code == 1 and "GRANT CREATE ON DATABASE" in said and len(said.splitlines()) == 1, said
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"GRANT CREATE ON DATABASE {name} TO {name}".encode())
    assert weir(tmp_path, "db", "status", "--database-url", theirs)[1].endswith("run `mcp-weir db migrate`")
    assert weir(tmp_path, "db", "migrate", "--database-url", theirs) == (0, "")
    assert weir(tmp_path, "doctor", "--database-url", theirs) == (0, "")


def test_a_command_that_is_none_is_named_with_its_neighbour(tmp_path: Path) -> None:
    code, said = weir(tmp_path, "sesions")
    assert code == 2 and "did you mean 'sessions'?" in said


def test_without_a_database_the_status_still_says_what_waits_on_disk(tmp_path: Path) -> None:
    writer = writer_at(tmp_path / "data" / "spool")
    command = [sys.executable, "-m", "mcp_weir", "status", "--data-dir", str(tmp_path / "data"), "--database-url",
               "postgresql://u:hush@127.0.0.1:1/x"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90)
    writer.close()
    assert done.returncode == 1 and "hush" not in done.stdout + done.stderr
    assert "1 segments" in done.stdout and "until the database answers" in done.stdout
    assert done.stderr.startswith("mcp-weir: cannot reach the database") and len(done.stderr.splitlines()) == 1
