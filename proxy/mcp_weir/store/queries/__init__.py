"""Named queries: one SQL file each, read once."""

from functools import cache
from importlib import resources


@cache
def sql(name: str, grain: str = "") -> bytes:
    """The text of NAME.sql; `grain` (minute, hour, day) completes the table names of those that have one for each.

    As bytes: psycopg takes a literal or bytes, and these are no user's words.
    """
    return (resources.files(__name__) / f"{name}.sql").read_bytes().replace(b"{grain}", grain.encode())
