"""Recorded scenes, each in a database of its own, made once for all tests that only look."""

import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from tests.dashboard import scenes
from tests.dashboard.river import River

from mcp_weir.store import migrate


def _recorded(postgres_url: str, folder: Path, scene: Callable[[River, datetime], object]) -> tuple[str, River]:
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


@pytest.fixture(scope="session")
def usual(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, River]:
    return _recorded(postgres_url, tmp_path_factory.mktemp("usual"), lambda river, now: river.usual(now))


@pytest.fixture(scope="session")
def hostile(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return _recorded(postgres_url, tmp_path_factory.mktemp("hostile"), scenes.hostile)[0]


@pytest.fixture(scope="session")
def foreign(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return _recorded(postgres_url, tmp_path_factory.mktemp("foreign"), scenes.foreign)[0]


@pytest.fixture(scope="session")
def many(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return _recorded(postgres_url, tmp_path_factory.mktemp("many"), scenes.many)[0]
