"""A real Postgres for whoever asks for one."""

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mcp_weir.store import migrate
from mcp_weir.store.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    # not beneath pytest's own folder: each starting pytest makes that private again, and Postgres runs as another user
    folder = tempfile.mkdtemp(prefix="weir-pg-")
    server = EmbeddedPostgres(Path(folder))
    yield server.start()
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def database_url(postgres_url: str) -> str:
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    url = postgres_url.replace("/postgres?", f"/{name}?")
    with psycopg.connect(url, autocommit=True) as conn:
        migrate.migrate(conn)
    return url
