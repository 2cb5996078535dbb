"""Scenes, each recorded once for all tests that only look."""

import pytest
from tests.dashboard import scenes
from tests.dashboard.recorded import recorded
from tests.dashboard.river import River


@pytest.fixture(scope="session")
def usual(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, River]:
    return recorded(postgres_url, tmp_path_factory.mktemp("usual"), lambda river, now: river.usual(now))


@pytest.fixture(scope="session")
def hostile(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return recorded(postgres_url, tmp_path_factory.mktemp("hostile"), scenes.hostile)[0]


@pytest.fixture(scope="session")
def foreign(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return recorded(postgres_url, tmp_path_factory.mktemp("foreign"), scenes.foreign)[0]


@pytest.fixture(scope="session")
def many(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> str:
    return recorded(postgres_url, tmp_path_factory.mktemp("many"), scenes.many)[0]
