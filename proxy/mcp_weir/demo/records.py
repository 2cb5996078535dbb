"""Reads what the weir recorded, through its public views as anybody may."""

from importlib import resources

from mcp_weir.demo.judge import Row
from mcp_weir.demo.processes import Addresses
from mcp_weir.store import connect


def rows(addresses: Addresses) -> list[Row]:
    """Every row of this run. Raises StoreError when the database is unreachable."""
    with connect.connect(addresses.database_url) as conn:
        return [Row(*found) for found in conn.execute(_sql("rows"), (addresses.service,))]


def sessions(addresses: Addresses) -> dict[str, int]:
    """Recorded sessions of this run by era."""
    with connect.connect(addresses.database_url) as conn:
        return dict(conn.execute(_sql("sessions"), (addresses.service,)).fetchall())


def _sql(name: str) -> bytes:
    return (resources.files("mcp_weir.demo") / "queries" / f"{name}.sql").read_bytes()
