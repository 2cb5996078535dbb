"""A scene recorded into a database of its own, for tests that only look."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
from tests.dashboard.river import River

from mcp_weir.store import migrate


def recorded(postgres_url: str, folder: Path, scene: Callable[[River, datetime], object]) -> tuple[str, River]:
    """The database's URL, and the river that knows what went in."""
    name = f"scene{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    url = postgres_url.replace("/postgres?", f"/{name}?")
    with psycopg.connect(url, autocommit=True) as conn:
        migrate.migrate(conn)
    river = River(folder)
    scene(river, datetime.now(UTC))
    river.drain(url)
    return url, river
