"""A real Postgres for whoever asks for one."""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from mcp_weir.store.embedded import EmbeddedPostgres
from spooling import fresh_database


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
    return fresh_database(postgres_url)
