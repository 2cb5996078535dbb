"""What may be said of an error in a log, on a page or in a probe: never a value of a row.

Postgres quotes values in the texts of what it refuses (SQLSTATE classes 22, 23), and so do adapters and decoders.
"""

import traceback

import psycopg

from mcp_weir.errors import WeirError
from mcp_weir.store.masking import mask

# connection, transaction state, log-in, no such database, rollback, names in our own SQL, resources, operator, system
_ABOUT_NO_ROW = frozenset({"08", "25", "28", "3D", "40", "42", "53", "55", "57", "58"})
_TEXT_MAX = 300


def said_of(error: BaseException) -> str:
    """One line: the kind of error, its SQLSTATE, and its text where that speaks of no data."""
    name = type(error).__name__
    match error:
        case WeirError():
            text = str(error)
        case psycopg.Error(sqlstate=str(state)):
            name += f" [{state}]"
            text = error.diag.message_primary or "" if state[:2] in _ABOUT_NO_ROW else ""
        case psycopg.OperationalError():  # libpq's own words, of the connection
            text = str(error)
        case OSError():
            text = f"{error.strerror or ''}{f' ({error.filename})' if error.filename else ''}"
        case _:
            text = where(error)
    first = (text.strip().splitlines() or [""])[0]
    return mask(f"{name}: {first}" if first else name)[:_TEXT_MAX]


def where(error: BaseException) -> str:
    """The place that raised it, and who called: file and line, without the text."""
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    return " < ".join(f"{frame.filename.rpartition('/')[2]}:{frame.lineno}" for frame in reversed(frames))
