"""Calls one tool through a URL in each era, waiting for the URL to answer at first. For check.sh."""

import asyncio
import socket
import sys
import time
from urllib.parse import urlsplit

from mcp import Client


async def main(url: str) -> None:
    """Two calls: of a client that initializes, and of a modern one."""
    for mode in ("legacy", "auto"):
        async with Client(url, mode=mode) as client:
            found = await client.call_tool("add", {"a": 2, "b": 3})
            assert found.structured_content == {"result": 5}, found
            print(f"{mode}: {client.protocol_version}, 2 + 3 = {found.structured_content['result']}")


def wait_for(url: str) -> None:
    """Until the tool server behind the URL answers HTTP (a path that is no MCP path is asked)."""
    host, port = urlsplit(url).hostname, urlsplit(url).port or 80
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            with socket.create_connection((host or "", port), 1) as sock:
                sock.sendall(f"GET /stats HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
                if b" 200 " in sock.recv(64):
                    return
        except OSError:
            pass
        time.sleep(0.5)
    sys.exit(f"{url} does not answer")


wait_for(sys.argv[1])
asyncio.run(main(sys.argv[1]))
