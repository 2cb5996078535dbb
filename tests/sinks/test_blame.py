"""PITFALLS: four SQLSTATE classes blame a row, one stops the drain, all else is tried again."""

from collections.abc import Callable

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


def refuse(conn: psycopg.Connection, states: dict[int, str]) -> Callable[[list[int]], None]:
    """A write that some items fail, each with its SQLSTATE."""
    def write(items: list[int]) -> None:
        for item in items:
            if item in states:
                conn.execute(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{states[item]}'; END $$".encode())
            conn.execute("INSERT INTO written VALUES (%s)", (item,))
    return write


@pytest.mark.parametrize("state", ["42P01", "40001", "53100", "57014", "08006"])
def test_who_looks_for_a_bad_row_and_meets_other_trouble_says_that(database_url: str, state: str) -> None:
    """Else what passes by itself (a full disk, a deadlock) would put good rows into quarantine, one by one."""
    with psycopg.connect(database_url) as conn:
        conn.execute("CREATE TEMPORARY TABLE written (item int)")
        with pytest.raises(psycopg.Error) as raised:
            poison.bisect(conn, list(range(8)), refuse(conn, {2: "22001", 5: state}))
        assert raised.value.sqlstate == state


def test_a_bad_row_is_found_and_the_others_are_written(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute("CREATE TEMPORARY TABLE written (item int)")
        found = poison.bisect(conn, list(range(9)), refuse(conn, {2: "22001", 8: "23514"}))
        assert found == [(2, "22001"), (8, "23514")]
        written = conn.execute("SELECT item FROM written ORDER BY 1").fetchall()
    assert [item for (item,) in written] == [0, 1, 3, 4, 5, 6, 7]
