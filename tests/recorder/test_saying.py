"""Errors as Postgres really raises them: what is logged of them holds no value of a row."""

import psycopg
import pytest

from mcp_weir.errors import StoreError
from mcp_weir.recorder.saying import said_of

SECRET = "sk-canary-4111"


@pytest.mark.parametrize(("statement", "begins"), [
    ("SELECT %s::int", "InvalidTextRepresentation [22P02]"),
    ("INSERT INTO weir.recorders (recorder) VALUES (NULL) RETURNING %s", "NotNullViolation [23502]"),
    ("DO $$ BEGIN RAISE EXCEPTION '" + SECRET + "'; END $$", "RaiseException [P0001]"),
])
def test_what_quotes_a_value_is_said_by_its_state_alone(database_url: str, statement: str, begins: str) -> None:
    with psycopg.connect(database_url) as conn, pytest.raises(psycopg.Error) as caught:
        conn.execute(statement.encode(), (SECRET,) if "%s" in statement else None)
    assert said_of(caught.value) == begins


def test_what_speaks_of_the_connection_or_of_our_own_sql_is_said_whole(database_url: str) -> None:
    with psycopg.connect(database_url) as conn, pytest.raises(psycopg.Error) as caught:
        conn.execute("SELECT nothing FROM weir.recorders")
    assert said_of(caught.value) == 'UndefinedColumn [42703]: column "nothing" does not exist'
    with pytest.raises(psycopg.OperationalError) as unreachable:
        psycopg.connect("postgresql://u:hush@127.0.0.1:1/x", connect_timeout=2)
    assert "refused" in said_of(unreachable.value) and "hush" not in said_of(unreachable.value)
    assert said_of(StoreError("no database")) == "StoreError: no database"


@pytest.mark.parametrize("error", [
    ValueError(SECRET), psycopg.DataError(f"cannot adapt {SECRET}"), KeyError(SECRET),
    UnicodeEncodeError("utf-8", SECRET, 0, 1, SECRET),
])
def test_of_our_own_mistakes_the_place_is_said_and_not_the_text(error: Exception) -> None:
    try:
        raise error
    except Exception as caught:
        said = said_of(caught)
    assert SECRET not in said and said.startswith(type(error).__name__)


def test_an_operating_system_says_what_went_wrong() -> None:
    said = said_of(OSError(28, "No space left on device", "/somewhere"))
    assert said == "OSError: No space left on device (/somewhere)"
