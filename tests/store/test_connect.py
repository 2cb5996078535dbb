"""A database that cannot be reached is said in one sentence, with the reason and without the password."""

import uuid
from pathlib import Path

import psycopg
import pytest

from mcp_weir.errors import StoreError
from mcp_weir.store import migrate
from mcp_weir.store.connect import connect
from spooling import call, count, drain, query, spool, writer_at


def test_a_closed_port_is_named_as_such() -> None:
    with pytest.raises(StoreError) as raised:
        connect("postgresql://u:hunter2@127.0.0.1:1/x")
    said = str(raised.value)
    assert "refused" in said and "\t" not in said and not said.endswith("?"), said
    assert "hunter2" not in said


def test_a_database_without_an_encoding_is_recorded_into(postgres_url: str, tmp_path: Path) -> None:
    name = f"ascii{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        said = f"CREATE DATABASE {name} ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
        conn.execute(said.encode())
    url = postgres_url.replace("/postgres?", f"/{name}?")
    with connect(url) as conn:
        migrate.migrate(conn)
    writer = writer_at(tmp_path)
    spool(writer, call(1, target="addieren: \u00fc"))
    writer.close()
    drain(url, tmp_path, lambda: count(url, "request_rows") == 1)
    assert query(url, "SELECT target::bytea FROM weir.request_rows") == [("addieren: \u00fc".encode(),)]
