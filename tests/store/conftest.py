"""A world of our own making: rows put in by hand, rollups made from them, and a connection to read with."""

import dataclasses
import math
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from mcp_weir.store import connect, retention

NOW = datetime.now(UTC).replace(microsecond=0)
SERVICE = "shop:8051"


@dataclasses.dataclass
class World:
    """What stands in the database."""

    url: str
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    _written: int = 0

    def request(self, **said: Any) -> uuid.UUID:
        """One final row with usual values for whatever is not said."""
        row = {
            "request_key": uuid.uuid4(), "service": SERVICE, "instance": "i", "session_key": None,
            "started_at": NOW - timedelta(minutes=5), "direction": "client", "method": "tools/call", "target": "add",
            "jsonrpc_id": "1", "outcome": "ok", "http_method": "POST", "http_status": 200, "duration_ms": 10.0,
            "request_bytes": 100, "response_bytes": 200, "tokens_in": 5, "tokens_out": 10, "flags": [],
            "client_name": "claude", "client_label": "claude", "era": "legacy", "response_kind": "json", **said,
        }
        row.setdefault("operation_key", row["request_key"])
        self.rows.append(row)
        return row["request_key"]

    def store(self, conn: psycopg.Connection | None = None) -> None:
        """Write what was said since the last time; without a connection also commit it and make the rollups."""
        if conn is not None:
            self._write(conn)
            return
        with psycopg.connect(self.url, autocommit=True) as own:
            self._write(own)
            retention.rebuild_rollups(own)

    def _write(self, conn: psycopg.Connection) -> None:
        fresh = self.rows[self._written:]
        for day in {row["started_at"].date() for row in fresh}:
            conn.execute("SELECT weir.ensure_partition(%s)", (day,))
        names = [*dict.fromkeys(name for row in fresh for name in row), "latency_bucket"]
        with conn.cursor() as cur, cur.copy(f"COPY weir.request_rows ({', '.join(names)}) FROM STDIN") as copy:
            for row in fresh:
                copy.write_row([(row | {"latency_bucket": bucket(row["duration_ms"])}).get(name) for name in names])
        self._written = len(self.rows)

    def session(self, **said: Any) -> uuid.UUID:
        """One session."""
        row = {
            "session_key": uuid.uuid4(), "service": SERVICE, "instance": "i", "source": "header", "confidence": 1.0,
            "era": "legacy", "client_name": "claude", "client_label": "claude", "client_version": "1.0",
            "protocol_version": "2025-11-25", "started_at": NOW - timedelta(minutes=10),
            "last_seen_at": NOW - timedelta(minutes=1), "request_count": 3, "tool_call_count": 2, "call_count": 2,
            **said,
        }
        self.insert("session_rows", row)
        return row["session_key"]

    def insert(self, table: str, row: dict[str, Any]) -> None:
        """One row of any table; columns that it does not have (yet) are left out."""
        with psycopg.connect(self.url, autocommit=True) as conn:
            insert(conn, table, row)


def insert(conn: psycopg.Connection, table: str, row: dict[str, Any]) -> None:
    known = {name for (name,) in conn.execute(
        "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped",
        (f"weir.{table}",))}
    names = [name for name in row if name in known]
    slots = ", ".join(["%s"] * len(names))
    conn.execute(f"INSERT INTO weir.{table} ({', '.join(names)}) VALUES ({slots})", [row[name] for name in names])


def bucket(ms: float | None) -> int:
    """As the recorder does: OpenTelemetry's exponential histogram of scale 3."""
    return -128 if not ms or ms <= 0 else max(-127, math.ceil(8 * math.log2(ms)) - 1)


@pytest.fixture
def world(database_url: str) -> World:
    return World(database_url)


@pytest.fixture
async def conn(world: World) -> AsyncIterator[psycopg.AsyncConnection]:
    async with await connect.reading(world.url) as conn:
        yield conn
