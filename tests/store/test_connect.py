"""A database that cannot be reached is said in one sentence, with the reason and without the password."""

import uuid
from pathlib import Path

import psycopg
import pytest

from mcp_weir.errors import StoreError
from mcp_weir.store import migrate
from mcp_weir.store.connect import connect
from mcp_weir.store.pool import ReadPool
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


def test_no_connection_can_be_frozen_with_its_server_nor_needs_a_session_of_its_own(postgres_url: str) -> None:
    """PITFALLS: a frozen server answered no timeout of ours; PgBouncer keeps no prepared statement."""
    with connect(postgres_url) as conn:
        kept = conn.info.get_parameters()
        assert conn.prepare_threshold is None
        assert {name: kept[name] for name in _LIMITS} == _LIMITS
        shown = conn.execute("SELECT current_setting('statement_timeout'), current_setting('lock_timeout')").fetchone()
        assert shown == ("30s", "10s")


async def test_nor_can_one_that_reads(postgres_url: str) -> None:
    reads = ReadPool(postgres_url)
    await reads.open()
    try:
        async with reads.connection() as conn:
            kept = conn.info.get_parameters()
            assert conn.prepare_threshold is None
            assert {name: kept[name] for name in _LIMITS} == _LIMITS | {"connect_timeout": "3"}
            with pytest.raises(psycopg.errors.ReadOnlySqlTransaction):
                await conn.execute("CREATE TABLE nothing ()")
    finally:
        await reads.close()


_LIMITS = {"connect_timeout": "5", "tcp_user_timeout": "10000", "keepalives_idle": "5", "keepalives_interval": "2",
           "keepalives_count": "3"}
