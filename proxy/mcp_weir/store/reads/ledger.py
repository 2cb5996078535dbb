"""The context ledger: what tools/list costs, and which tools are listed and never called."""

from mcp_weir.store.reads.queries import Conn, fetch, fetch_as, params
from mcp_weir.store.reads.spans import sources
from mcp_weir.store.shapes import NO_FILTER, ContextEntry, ContextLedger, Filter, Window


async def ledger(conn: Conn, window: Window, where: Filter = NO_FILTER) -> ContextLedger:
    """What listing tools cost in the window. Uses service."""
    values = params(window, Filter(service=where.service))
    called, edges = sources("tool", window)
    every = {**values, **edges, "facet": "tool", "name": None}
    entries = tuple(await fetch_as(conn, "ledger", ContextEntry, every, called))
    listed, edges = sources("method", window)
    lists = (await fetch(conn, "lists", {**values, **edges, "facet": "method", "name": "tools/list"}, listed))[0]
    sessions = (await fetch(conn, "session_counts", values))[0]["sessions"]
    return ContextLedger(
        lists=lists["lists"], tokens=lists["tokens"], sessions=sessions,
        per_session=lists["tokens"] / sessions if sessions else 0.0, entries=entries,
        never_called=tuple(entry for entry in entries if entry.calls == 0),
    )
