"""Read connections for the dashboard: few, read-only, checked before use, with every timeout set.

A database that is away is a StoreError within seconds, and everything works again by itself once it is back.
"""

import contextlib
from collections.abc import AsyncIterator
from typing import Any

import psycopg
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from mcp_weir.errors import StoreError
from mcp_weir.store.masking import mask

_SIZE = 6
_WAIT_S = 3.0
_SPARE_WAIT_S = 0.02
_OPTIONS = (
    "-c default_transaction_read_only=on -c timezone=UTC -c lock_timeout=2000 -c statement_timeout={ms}"
    " -c jit=off -c max_parallel_workers_per_gather=0 -c random_page_cost=1.1"
)


class ReadPool:
    """Connections to read with; open() and close() within one event loop."""

    def __init__(self, url: str, *, statement_timeout_s: float = 10.0) -> None:
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]] = AsyncConnectionPool(
            url,
            min_size=0,
            max_size=_SIZE,
            open=False,
            timeout=_WAIT_S,
            max_waiting=64,
            max_idle=60,
            reconnect_timeout=0.5,  # a failed attempt is given up at once: the next reader tries anew
            check=AsyncConnectionPool.check_connection,
            name="dashboard",
            kwargs={
                "autocommit": True,
                "prepare_threshold": None,  # PgBouncer
                "connect_timeout": 3,
                "tcp_user_timeout": 10_000,
                "keepalives_idle": 5,
                "keepalives_interval": 2,
                "keepalives_count": 3,
                "application_name": "mcp-weir dashboard",
                "client_encoding": "UTF8",
                "options": _OPTIONS.format(ms=int(statement_timeout_s * 1000)),
            },
        )

    async def open(self) -> None:
        """Start; does not wait for a connection."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Close every connection; waits two seconds at most."""
        await self._pool.close(timeout=2)

    @contextlib.asynccontextmanager
    async def spare(self) -> AsyncIterator[psycopg.AsyncConnection[Any] | None]:
        """A second connection for a page that reads a lot, if one can be had at once; never an error, never a wait."""
        stats = self._pool.get_stats()
        conn = None
        if stats["pool_available"] or stats["pool_size"] < _SIZE:
            with contextlib.suppress(PoolTimeout, psycopg.Error):
                conn = await self._pool.getconn(timeout=_SPARE_WAIT_S)
        try:
            yield conn
        finally:
            if conn is not None:
                await self._pool.putconn(conn)

    @contextlib.asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        """One connection. Raises StoreError, in a sentence for a person, for whatever Postgres says or does not."""
        try:
            async with self._pool.connection() as conn:
                yield conn
        except PoolTimeout:
            raise StoreError("the database does not answer, or every connection to it is in use") from None
        except psycopg.errors.QueryCanceled:
            raise StoreError("the database took too long; choose a shorter window") from None
        except (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction):
            raise StoreError("the database has no current schema yet; the recorder makes it: is it running?") from None
        except psycopg.Error as error:
            said = (mask(str(error)).strip().splitlines() or [type(error).__name__])[0]
            raise StoreError(f"the database refused: {said}") from None
