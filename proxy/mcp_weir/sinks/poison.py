"""What blames a row and not the world: found by bisection inside a transaction that is rolled back."""

import struct
from collections.abc import Callable
from typing import TypeVar

import psycopg

T = TypeVar("T")
POISON_CLASSES = frozenset({"21", "22", "23", "54"})  # SQLSTATE classes; 42 stops the drain, all else is retried
# psycopg's adapters and our own packing refuse a NUL, a lone surrogate, a number too large with these
_REFUSED = (psycopg.DataError, ValueError, OverflowError, TypeError, struct.error)


def blames_a_row(error: BaseException) -> bool:
    """The data is at fault; trying again will not help."""
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        return error.sqlstate[:2] in POISON_CLASSES
    return isinstance(error, _REFUSED)


def stops_the_drain(error: BaseException) -> bool:
    """Class 42: our SQL and this schema do not fit. Nothing but an operator mends it."""
    return isinstance(error, psycopg.Error) and (error.sqlstate or "")[:2] == "42"


def reason_of(error: BaseException) -> str:
    """The SQLSTATE, else the kind of error; never its text, which may quote the value."""
    state = getattr(error, "sqlstate", None)
    return str(state) if state else type(error).__name__


def bisect(conn: psycopg.Connection, items: list[T], write: Callable[[list[T]], None]) -> list[tuple[T, str]]:
    """Write all that can be written; returns (item, reason) of each that cannot. Raises what blames no row."""
    if not items:
        return []
    try:
        with conn.transaction():  # a savepoint
            write(items)
        return []
    except Exception as error:
        if not blames_a_row(error):
            raise
        if len(items) == 1:
            return [(items[0], reason_of(error))]
    half = len(items) // 2
    return bisect(conn, items[:half], write) + bisect(conn, items[half:], write)
