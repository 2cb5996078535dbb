"""PITFALLS: four SQLSTATE classes blame a row, one stops the drain, all else is tried again."""

import psycopg
import pytest

from mcp_weir.sinks import poison

BLAMED = {"21", "22", "23", "54"}
STATES = [name for name in dir(psycopg.errors) if isinstance(getattr(psycopg.errors, name), type)
          and isinstance(getattr(getattr(psycopg.errors, name), "sqlstate", None), str)]


@pytest.mark.parametrize("name", STATES)
def test_each_state_has_one_fate(name: str) -> None:
    error = getattr(psycopg.errors, name)("canary")
    kind = error.sqlstate[:2]
    assert poison.blames_a_row(error) is (kind in BLAMED)
    assert poison.stops_the_drain(error) is (kind == "42")
    assert "canary" not in poison.reason_of(error)


@pytest.mark.parametrize("error", [OSError("reset"), TimeoutError(), psycopg.OperationalError("lost")])
def test_a_lost_connection_blames_nobody(error: Exception) -> None:
    assert not poison.blames_a_row(error) and not poison.stops_the_drain(error)
