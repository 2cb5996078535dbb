"""The dashboard alone, composed."""

import asyncio
import socket

from mcp_weir.app import admin as admin_port
from mcp_weir.config import Settings


def run_dashboard(settings: Settings, url: str, admin: socket.socket) -> None:
    """Serve the admin port alone until SIGTERM or SIGINT."""
    app = admin_port.compose(settings, url, metrics=None, recorder=None)
    asyncio.run(admin_port.serve_until_signal(app, admin))
