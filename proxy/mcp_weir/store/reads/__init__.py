"""Reads: what pages, tables and their JSON twins ask of Postgres. Async, over any psycopg AsyncConnection; read-only.

A figure of a window (counts, percentiles, top lists) comes from rollups, so that its cost follows the window; a list
comes from rows by keyset, newest first unless sorted. Reads take a Window and a Filter; psycopg.Error passes as it is.
"""

from mcp_weir.store.reads.alerts import alerts
from mcp_weir.store.reads.beside import both
from mcp_weir.store.reads.clients import Seen, clients, principals, seen
from mcp_weir.store.reads.cost import Prices, cost, load_prices
from mcp_weir.store.reads.errors import errors
from mcp_weir.store.reads.export import EXPORTED, export, running
from mcp_weir.store.reads.health import coverage, health, services
from mcp_weir.store.reads.ledger import ledger
from mcp_weir.store.reads.overview import Around, around, overview
from mcp_weir.store.reads.requests import REQUEST_SORTS, Followed, follow, request, requests
from mcp_weir.store.reads.search import search
from mcp_weir.store.reads.sessions import SESSION_SORTS, find_sessions, session, sessions
from mcp_weir.store.reads.streams import streams
from mcp_weir.store.reads.tools import TOOL_SORTS, tool, tools
from mcp_weir.store.reads.totals import series, totals

__all__ = [
    "EXPORTED", "REQUEST_SORTS", "SESSION_SORTS", "TOOL_SORTS", "Around", "Followed", "Prices", "Seen", "alerts",
    "around", "both", "clients", "cost", "coverage", "errors", "export", "find_sessions", "follow", "health", "ledger",
    "load_prices", "overview", "principals", "request", "requests", "running", "search", "seen", "series", "services",
    "session", "sessions", "streams", "tool", "tools", "totals",
]
