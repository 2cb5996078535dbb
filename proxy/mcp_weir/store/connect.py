"""Connections to Postgres, with every timeout set: a frozen server must not freeze us."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict

from mcp_weir.errors import StoreError, Unreachable, UsageError
from mcp_weir.store.masking import mask

T = TypeVar("T")
_TIMEOUTS: dict[str, Any] = {
    "connect_timeout": 5,
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
    "options": "-c statement_timeout=30000 -c lock_timeout=10000",
    "application_name": "mcp-weir",
    "client_encoding": "UTF8",  # a database in SQL_ASCII (initdb without a locale) would answer with bytes for text
}


def parse(url: str) -> str:
    """The URL as it came; UsageError when libpq cannot parse it."""
    try:
        ports = str(conninfo_to_dict(url).get("port") or "")
        if not all(port.isdigit() or not port for port in ports.split(",")):  # libpq looks only when it connects
            raise psycopg.ProgrammingError(f"invalid port {ports!r}")
    except psycopg.Error as error:
        raise UsageError(
            f"the database URL cannot be parsed ({mask(str(error)).strip()}); write postgresql://user@host:5432/name"
        ) from None
    return url


def connect(url: str, *, autocommit: bool = True) -> psycopg.Connection:
    """A connection without prepared statements (PgBouncer). Raises StoreError in one sentence."""
    parse(url)
    try:
        return psycopg.connect(url, autocommit=autocommit, prepare_threshold=None, **_TIMEOUTS)
    except psycopg.OperationalError as error:
        raise _unreachable(url, error) from None


@contextlib.contextmanager
def session(url: str) -> Iterator[psycopg.Connection]:
    """A connection for a command. Raises StoreError in one sentence for whatever Postgres says meanwhile."""
    with connect(url) as conn:
        try:
            yield conn
        except psycopg.Error as error:
            raise refused(error) from None


async def reading(url: str) -> psycopg.AsyncConnection:
    """A connection for `store.reads`: read-only, UTC, statements at most 30 s. Raises StoreError in one sentence."""
    parse(url)
    options = _TIMEOUTS["options"] + " -c default_transaction_read_only=on -c TimeZone=UTC -c jit=off"
    options += " -c max_parallel_workers_per_gather=0"  # a page is many small reads
    options += " -c random_page_cost=1.1"  # rollups lie in order of time: an index range, not the whole history
    try:
        return await psycopg.AsyncConnection.connect(
            url, autocommit=True, prepare_threshold=None, **{**_TIMEOUTS, "options": options}
        )
    except psycopg.OperationalError as error:
        raise _unreachable(url, error) from None


def read(url: str, work: Callable[[psycopg.AsyncConnection], Awaitable[T]]) -> T:
    """Run reads over a connection of their own. Raises StoreError in one sentence for whatever Postgres says."""

    async def run() -> T:
        async with await reading(url) as conn:
            return await work(conn)

    try:
        return asyncio.run(run())
    except psycopg.Error as error:
        raise refused(error) from None


def refused(error: psycopg.Error) -> StoreError:
    """What Postgres said, as one sentence with what to do."""
    if isinstance(error, psycopg.errors.QueryCanceled):
        return StoreError("that takes longer than 30 s; ask for less with --since and --until")
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return StoreError(
            f"{error.diag.message_primary} to this role; let the owner GRANT CREATE ON DATABASE to it, or"
            " use the role that made the schema weir"
        )
    if (error.sqlstate or "").startswith("42") or (error.sqlstate or "").startswith("3F"):
        return StoreError("the database has no weir schema of this version; run `mcp-weir db migrate`")
    said = mask(str(error)).strip().splitlines() or [type(error).__name__]
    return StoreError(f"the database broke off: {said[0]}")


def _unreachable(url: str, error: psycopg.Error) -> StoreError:
    # libpq asks a question on its last line; the reason stands before it
    lines = [line.strip() for line in mask(str(error)).splitlines() if line.strip()]
    said = next((line for line in reversed(lines) if not line.endswith("?")), type(error).__name__)
    return Unreachable(f"cannot reach the database at {mask(url)}: {said.removeprefix('connection failed: ')}")
