"""A small MCP server on whichever Python SDK this interpreter has: `python_server.py SDK MODE PORT`.

SDK: mcp2, mcp1, fastmcp. MODE: json, sse, stateless, eventstore, http+sse.
"""

import asyncio
import sys
from typing import Any
from uuid import uuid4


def echo(message: str) -> str:
    """Say it again."""
    return f"Echo: {message}"


def get_sum(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def fail() -> str:
    """Always fails."""
    raise ValueError("this tool always fails")


async def slow(seconds: float) -> str:
    """Wait, then answer."""
    await asyncio.sleep(min(seconds, 5))
    return f"waited {seconds} s"


def add_tools(server: Any) -> Any:
    """The tools that every client calls, named as the TypeScript everything-server names its own."""
    server.tool(name="echo")(echo)
    server.tool(name="get-sum")(get_sum)
    server.tool(name="fail")(fail)
    server.tool(name="slow")(slow)
    return server


def event_store(base: type) -> Any:
    """An event store in memory, as the SDK's interface wants it."""

    class Memory(base):  # type: ignore[misc]
        def __init__(self) -> None:
            self.events: list[tuple[str, str, Any]] = []

        async def store_event(self, stream_id: str, message: Any) -> str:
            self.events.append((uuid4().hex, stream_id, message))
            return self.events[-1][0]

        async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
            at = next((n for n, event in enumerate(self.events) if event[0] == last_event_id), None)
            if at is None:
                return None
            stream = self.events[at][1]
            for event_id, stream_id, message in self.events[at + 1 :]:
                if stream_id == stream and message is not None:
                    await send_callback(self.message(message, event_id))
            return stream

        @staticmethod
        def message(message: Any, event_id: str) -> Any:
            from mcp.server.streamable_http import EventMessage

            return EventMessage(message, event_id)

    return Memory()


def main(sdk: str, mode: str, port: int) -> None:
    """Serve until ended."""
    store = None
    if mode == "eventstore":
        from mcp.server.streamable_http import EventStore

        store = event_store(EventStore)
    flags = {"json_response": mode == "json", "stateless_http": mode == "stateless"}
    if sdk == "mcp2":
        from mcp.server.mcpserver import MCPServer

        server = add_tools(MCPServer("matrix"))
        if mode == "http+sse":
            server.run("sse", port=port)
        else:
            server.run("streamable-http", port=port, event_store=store, **flags)
    elif sdk == "mcp1":
        from mcp.server.fastmcp import FastMCP

        server = add_tools(FastMCP("matrix", port=port, event_store=store, **flags))
        server.run("sse" if mode == "http+sse" else "streamable-http")
    else:
        import uvicorn
        from fastmcp import FastMCP

        transport = "sse" if mode == "http+sse" else "http"
        app = add_tools(FastMCP("matrix")).http_app(
            transport=transport, path="/sse" if transport == "sse" else "/mcp", event_store=store, **flags
        )
        uvicorn.run(app, port=port, log_level="warning")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
