"""A real Postgres for whoever asks for one."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest

from mcp_weir.store import migrate
from mcp_weir.store.embedded import EmbeddedPostgres


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server = EmbeddedPostgres(tmp_path_factory.mktemp("pg"))
    yield server.start()
    server.stop()


@pytest.fixture
def database_url(postgres_url: str) -> str:
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(postgres_url, autocommit=True) as conn:
        conn.execute(f"CREATE DATABASE {name}")
    url = postgres_url.replace("/postgres?", f"/{name}?")
    with psycopg.connect(url, autocommit=True) as conn:
        migrate.migrate(conn)
    return url
