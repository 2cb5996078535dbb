"""The server's own account: what reached it, counted from the bodies, for comparison with anybody else's account.

Pure ASGI, so that streams pass as they are. GET /stats answers with the counts as JSON; it is no MCP path.
"""

import json
from collections import Counter
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Counting:
    """Counts HTTP methods, and JSON-RPC requests by method, notifications, responses and what is none of them."""

    def __init__(self, app: ASGIApp, mcp_paths: tuple[str, ...]) -> None:
        self._app, self._mcp_paths = app, mcp_paths
        self.http: Counter[str] = Counter()
        self.requests: Counter[str] = Counter()
        self.notifications: Counter[str] = Counter()
        self.responses = 0
        self.malformed = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One ASGI call."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
        elif scope["path"] == "/stats":
            await self._answer(send)
        elif scope["path"].startswith(self._mcp_paths):
            self.http[scope["method"]] += 1
            await self._app(scope, self._listening(receive) if scope["method"] == "POST" else receive, send)
        else:
            await self._app(scope, receive, send)

    def _listening(self, receive: Receive) -> Receive:
        body = bytearray()

        async def listen() -> Message:
            message = await receive()
            if message["type"] == "http.request":
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    self._read(bytes(body))
            return message

        return listen

    def _read(self, body: bytes) -> None:
        try:
            said = json.loads(body)
        except (ValueError, RecursionError):
            self.malformed += 1
            return
        for message in said if isinstance(said, list) else [said]:
            self._count(message)

    def _count(self, message: Any) -> None:
        if not isinstance(message, dict):
            self.malformed += 1
        elif "method" not in message:
            self.responses += 1
        elif "id" in message:
            self.requests[str(message["method"])] += 1
        else:
            self.notifications[str(message["method"])] += 1

    async def _answer(self, send: Send) -> None:
        counts = {
            "http": self.http, "requests": self.requests, "notifications": self.notifications,
            "responses": self.responses, "malformed": self.malformed,
        }
        headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(counts).encode()})
