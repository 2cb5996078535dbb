"""The dashboard alone, composed."""

import asyncio
import gc
import socket

from mcp_weir.app import admin as admin_port
from mcp_weir.config import Settings


def run_dashboard(settings: Settings, url: str, admin: socket.socket) -> None:
    """Serve the admin port alone until SIGTERM or SIGINT."""
    app = admin_port.compose(settings, url, metrics=None, recorder=None)
    gc.freeze()  # what is loaded by now stays: each look at everything was 60 ms in the middle of a page
    gc.set_threshold(50_000, 50, 100)
    asyncio.run(admin_port.serve_until_signal(app, admin))
