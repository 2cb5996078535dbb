"""A real Postgres for whoever asks for one."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from mcp_weir.store.embedded import EmbeddedPostgres
from spooling import drop_database, fresh_database


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    # not beneath pytest's own folder: each starting pytest makes that private again, and Postgres runs as another user
    folder = tempfile.mkdtemp(prefix="weir-pg-")
    server = EmbeddedPostgres(Path(folder))
    url = server.start()
    with psycopg.connect(url, autocommit=True) as conn:  # nobody cuts its power; a database is made in half the time
        for name in ("fsync", "full_page_writes"):
            conn.execute(f"ALTER SYSTEM SET {name} = off".encode())
        conn.execute("SELECT pg_reload_conf()")
    yield url
    server.stop()
    # by somebody else: a database is 400 files, and on a busy machine removing all of them took longer than a test may
    os.posix_spawnp("rm", ["rm", "-rf", folder], os.environ)


@pytest.fixture
def database_url(postgres_url: str) -> Iterator[str]:
    url = fresh_database(postgres_url)
    yield url
    drop_database(postgres_url, url)
