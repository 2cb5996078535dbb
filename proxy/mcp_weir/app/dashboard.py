"""The dashboard alone, composed."""

import socket

from mcp_weir.config import Settings
from mcp_weir.errors import UsageError


def run_dashboard(settings: Settings, url: str, admin: socket.socket) -> None:
    """Serve the admin port alone until SIGTERM or SIGINT."""
    raise UsageError("the dashboard is not built yet")
