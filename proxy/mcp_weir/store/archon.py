"""Archon's tables as views over our rows, so that its queries and dashboards go on working."""

from importlib import resources

import psycopg
from psycopg import sql

from mcp_weir.errors import StoreError
from mcp_weir.store.reads.cost import Prices

VIEWS = ("archon_mcp_sessions", "archon_mcp_requests", "archon_mcp_session_stats")


def install(conn: psycopg.Connection, prices: Prices | None = None) -> None:
    """Create or replace the views and their functions in the connection's schema, in one transaction.

    Costs are null without the prices of a declared model. Raises StoreError where Archon's own tables stand.
    """
    text = (resources.files("mcp_weir.store") / "archon.sql").read_text()
    parts = {"input": sql.NULL, "output": sql.NULL} if prices is None else {
        "input": sql.Literal(prices.input / 1e6), "output": sql.Literal(prices.output / 1e6)
    }
    for name in VIEWS:
        found = conn.execute("SELECT relkind FROM pg_class WHERE oid = to_regclass(%s)", (name,)).fetchone()
        if found is not None and found[0] != "v":
            raise StoreError(f"{name} is a table of Archon's here; rename it, or use another database or search_path")
    try:
        with conn.transaction():
            conn.execute(sql.SQL(text).format(**parts))
    except psycopg.errors.UndefinedTable:
        raise StoreError("the database has no weir schema yet; run `mcp-weir db migrate`") from None
