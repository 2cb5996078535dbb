"""Real MCP sessions, small: initialize once, then tools/call. A client at a fraction of an SDK's cost."""

import asyncio
import json
import time

HELLO = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "bench", "version": "1"}}


class Session:
    """One session on one connection. Raises RuntimeError when the server does not answer as it should."""

    def __init__(self, port: int) -> None:
        self._port, self._id, self._named = port, 0, b""

    async def open(self) -> None:
        """Connect and initialize."""
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        head, body = await self._post({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": HELLO})
        if b'"serverInfo"' not in body:
            raise RuntimeError(f"no session: {head + body!r}")
        for line in head.split(b"\r\n"):
            if line.lower().startswith(b"mcp-session-id:"):
                self._named = line + b"\r\nMCP-Protocol-Version: 2025-11-25\r\n"
        await self._post({"jsonrpc": "2.0", "method": "notifications/initialized"})

    async def call(self, since: float | None = None) -> float:
        """Call `add`; seconds since `since` or its sending, until the whole answer is here."""
        self._id += 1
        began = since or time.monotonic()
        params = {"name": "add", "arguments": {"a": self._id, "b": 1}}
        _, body = await self._post({"jsonrpc": "2.0", "id": self._id, "method": "tools/call", "params": params})
        if b"%d" % (self._id + 1) not in body:
            raise RuntimeError(f"not the sum: {body!r}")
        return time.monotonic() - began

    def close(self) -> None:
        """Hang up."""
        self._writer.transport.abort()

    async def _post(self, message: dict[str, object]) -> tuple[bytes, bytes]:
        body = json.dumps(message).encode()
        self._writer.write(
            b"POST /mcp HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nContent-Type: application/json\r\n"
            b"Accept: application/json, text/event-stream\r\n%bContent-Length: %d\r\n\r\n%b"
            % (self._port, self._named, len(body), body)
        )
        head = await self._reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        if b"\r\ntransfer-encoding: chunked" in lower:
            return head, await self._chunks()
        at = lower.find(b"\r\ncontent-length:")
        return head, await self._reader.readexactly(int(lower[at + 17 :].split(b"\r\n")[0])) if at >= 0 else b""

    async def _chunks(self) -> bytes:
        found = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            found += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return found
