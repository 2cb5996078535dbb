"""The newest rows of a public view, as they are."""

from datetime import datetime

from psycopg import sql
from psycopg.rows import dict_row

from mcp_weir.store import connect

ORDER = {"sessions": "last_seen_at", "requests": "started_at", "streams": "opened_at", "coverage": "minute"}


def newest(url: str, view: str, *, after: datetime, limit: int) -> list[dict[str, object]]:
    """The newest rows of one of ORDER's views, each by column name. Raises StoreError when unreachable."""
    order = sql.Identifier(ORDER[view])
    query = sql.SQL("SELECT * FROM weir.{} WHERE {} >= %s ORDER BY {} DESC LIMIT %s").format(
        sql.Identifier(view), order, order
    )
    with connect.connect(url) as conn, conn.cursor(row_factory=dict_row) as cur:
        return cur.execute(query, (after, limit)).fetchall()
