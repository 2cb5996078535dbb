"""Which database is meant, and whether it will do."""

from pathlib import Path

from mcp_weir.app import checks
from mcp_weir.config import Settings
from mcp_weir.doctor import Check
from mcp_weir.errors import WeirError
from mcp_weir.store import connect, migrate
from mcp_weir.store.masking import mask


def database_url(settings: Settings) -> str | None:
    """What checks.database() says, parsed once to be sure. Raises UsageError."""
    url = checks.database(settings)
    return None if url is None else connect.parse(url)


def _embedded(folder: Path) -> Check:
    try:
        version = (folder / "PG_VERSION").read_text().strip()
    except OSError:
        return Check("database", None, f"embedded, in {folder} (not made yet)")
    return Check("database", None, f"embedded, PostgreSQL {version} in {folder}")


def examine(url: str | None, data_dir: Path) -> Check:
    """The doctor's last check."""
    if url is None:
        return _embedded(data_dir / "postgres")
    try:
        with connect.session(url) as conn:
            server = conn.info.server_version // 10000
            row = conn.execute("SELECT to_regclass('weir.schema_version')").fetchone()
            version = migrate.version(conn) if row and row[0] else 0
    except WeirError as error:
        return Check("database", False, str(error))
    known = migrate.migrations()[-1][0]
    if server < 14:
        return Check("database", False, f"PostgreSQL {server}; 14 or newer is needed")
    if version > known:
        return Check("database", False, f"schema {version} is newer than this mcp-weir ({known}); upgrade it")
    return Check("database", True, f"PostgreSQL {server}, schema {version} of {known}, at {mask(url)}")
