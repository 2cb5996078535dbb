"""Which database is meant: a URL, libpq's own variables, or the embedded one."""

import os

from mcp_weir.config import Settings
from mcp_weir.store import connect

_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGSERVICE", "PGDATABASE")


def database_url(settings: Settings) -> str | None:
    """The database's URL, parsed once to be sure; empty for libpq's own variables, None for the embedded one."""
    if settings.database_url:
        return connect.parse(settings.database_url)
    return "postgresql://" if any(os.environ.get(name) for name in _LIBPQ) else None
