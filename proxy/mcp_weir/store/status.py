"""How large the database is, and what waits in it."""

import psycopg

from mcp_weir.store.queries import sql


def status(conn: psycopg.Connection) -> dict[str, int]:
    """Figures by name; bytes where the name says so."""
    return {name: int(value or 0) for name, value in conn.execute(sql("status")).fetchall()}
