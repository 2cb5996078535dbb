"""Lines to spool, and a recorder to drain them, for the tests of recorder, store and sinks."""

import contextlib
import functools
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import psycopg

from mcp_weir.recorder.drain import Recorder
from mcp_weir.sinks.sink import Sink
from mcp_weir.spool.writer import SpoolWriter
from mcp_weir.store import migrate
from mcp_weir.traffic.facts import Answer, Closed, Identity, Opened, Request

SESSION = uuid.uuid5(uuid.NAMESPACE_URL, "session")
CLIENT = Identity(name="c", version="1")


def now_us() -> int:
    return time.time_ns() // 1000


def call(number: int, **said: Any) -> list[Any]:
    """One tools/call, whole. Of `said`: wall_us, session, principal_key, target, outcome, error_message, at_us."""
    session = said.get("session", SESSION)
    at_us, outcome = said.get("at_us", 900), said.get("outcome", "ok")
    return [
        Opened(exchange=number, wall_us=said.get("wall_us") or now_us(), mono_us=number, http_method="POST",
               session=session, session_source="header" if session else None, client_addr="127.0.0.1",
               principal_key=said.get("principal_key")),
        Request(exchange=number, member=0, at_us=10, direction="client", jsonrpc_id=str(number), method="tools/call",
                target=said.get("target", "add"), client=said.get("client", CLIENT), size=100, tokens_in=3,
                arguments=said.get("arguments")),
        Answer(exchange=number, at_us=at_us, direction="client", jsonrpc_id=str(number), member=0, outcome=outcome,
               error_message=said.get("error_message"), error_code=said.get("error_code"), size=50, tokens_out=2),
        Closed(exchange=number, at_us=at_us + 100, closed_by="complete", status=200, response_kind="json"),
    ]


def writer_at(root: Path, **limits: Any) -> SpoolWriter:
    return SpoolWriter(root, service="s", instance="i", key_id="k", **limits)


def spool(writer: SpoolWriter, line: list[Any]) -> bool:
    """As the relay does it: seen, then offered under the minute of its opening."""
    minute = line[0].wall_us // 60_000_000
    writer.seen(minute)
    return writer.offer(line, minute)


@contextlib.contextmanager
def recording(url: str, root: Path, sinks: Sequence[Sink] = ()) -> Iterator[Recorder]:
    """A recorder at work; ended, whatever happens."""
    recorder, stop = Recorder(url, root, poll_s=0.02, sinks=sinks), threading.Event()
    thread = threading.Thread(target=recorder.run, args=(stop,), daemon=True)
    thread.start()
    try:
        yield recorder
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def drain(url: str, root: Path, until: Callable[[], bool], seconds: float = 20) -> Recorder:
    """Record until this holds."""
    with recording(url, root) as recorder:
        wait(until, seconds)
    return recorder


def drain_with(sinks: Sequence[Sink], url: str, root: Path, until: Callable[[], bool]) -> None:
    """Record until this holds, and tell these sinks."""
    with recording(url, root, sinks):
        wait(until)


def wait(until: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not until():
        assert time.monotonic() < deadline, "it did not come to hold"
        time.sleep(0.03)


@functools.cache
def _template(postgres_url: str) -> str:
    """A database whose schema is up to date, to copy: less than half of the time that migrating each takes."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}".encode())
    with psycopg.connect(postgres_url.replace("/postgres?", f"/{name}?"), autocommit=True) as conn:
        migrate.migrate(conn)
    return name


def fresh_database(postgres_url: str) -> str:
    """The URL of a database of its own on this server, its schema up to date."""
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name} TEMPLATE {_template(postgres_url)}".encode())
    return postgres_url.replace("/postgres?", f"/{name}?")


def drop_database(postgres_url: str, url: str) -> None:
    """A thousand of them would be a gigabyte, whose removal takes minutes on a slow disk."""
    name = url.partition("?")[0].rpartition("/")[2]
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def query(url: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(url, autocommit=True) as conn:
        return conn.execute(sql.encode(), values or None).fetchall()


def count(url: str, table: str) -> int:
    return int(query(url, f"SELECT count(*) FROM weir.{table}")[0][0])
