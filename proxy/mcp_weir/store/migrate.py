"""Migrations: SQL files, forward only, under an advisory lock."""

from importlib import resources

import psycopg

from mcp_weir.errors import SchemaTooNew

_LOCK = 0x77656972  # "weir"


def migrations() -> list[tuple[int, str]]:
    """(version, SQL) of every file, in order."""
    folder = resources.files("mcp_weir.store") / "migrations"
    names = sorted(item.name for item in folder.iterdir() if item.name.endswith(".sql"))
    return [(int(name[:4]), (folder / name).read_text()) for name in names]


def migrate(conn: psycopg.Connection) -> int:
    """Bring the schema up to date; returns its version. Raises SchemaTooNew for one that we do not know."""
    with conn.transaction():
        conn.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        conn.execute("CREATE SCHEMA IF NOT EXISTS weir")
        conn.execute(
            "CREATE TABLE IF NOT EXISTS weir.schema_version"
            " (version int PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        have = version(conn)
        known = migrations()
        if have > known[-1][0]:
            raise SchemaTooNew(f"the database's schema is version {have}, newer than this mcp-weir; upgrade it")
        conn.execute("SET LOCAL statement_timeout = 0")  # an index on a large table takes its time
        for number, sql in known:
            if number > have:
                conn.execute(sql.encode())
                conn.execute("INSERT INTO weir.schema_version (version) VALUES (%s)", (number,))
    return known[-1][0]


def version(conn: psycopg.Connection) -> int:
    """The version the database is at; 0 when it has none."""
    found = conn.execute("SELECT coalesce(max(version), 0) FROM weir.schema_version").fetchone()
    return int(found[0]) if found else 0
