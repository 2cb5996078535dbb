"""A scene recorded into a database of its own, for tests that only look."""

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from tests.dashboard.river import River

from spooling import fresh_database


def recorded(postgres_url: str, folder: Path, scene: Callable[[River, datetime], object]) -> tuple[str, River]:
    """The database's URL, and the river that knows what went in."""
    url = fresh_database(postgres_url)
    river = River(folder)
    scene(river, datetime.now(UTC))
    river.drain(url)
    return url, river
