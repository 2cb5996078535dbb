"""One conversation by a Python client: `python_client.py KIND URL CALLS`, CALLS a JSON list of [tool, arguments].

KIND: mcp2-legacy, mcp2-auto, mcp1, mcp1-sse, fastmcp, mcp-use, remote (CALLS over mcp-remote, whose command follows).
Prints a JSON list of what it knows that it did: [method, target, outcome, digest of what it saw].
"""

import asyncio
import contextlib
import hashlib
import json
import sys
from collections.abc import AsyncIterator
from typing import Any


def digest(value: Any) -> str:
    """A short hash of a result, whatever the SDK wraps it in; what a server makes anew each time is left out."""
    plain = value.model_dump(mode="json", by_alias=True, exclude_none=True) if hasattr(value, "model_dump") else value
    plain.pop("_meta", None)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:12]


@contextlib.asynccontextmanager
async def connect(kind: str, url: str, more: list[str]) -> AsyncIterator[Any]:
    """A connected client with `list_tools()` and `call_tool(name, arguments)`."""
    if kind.startswith("mcp2"):
        from mcp import Client

        async with Client(url, mode=kind.removeprefix("mcp2-")) as client:
            yield client
        return
    if kind == "fastmcp":
        from fastmcp import Client as FastClient

        async with FastClient(url) as client:
            yield client
        return
    if kind == "mcp-use":
        from mcp_use import MCPClient

        several = MCPClient.from_dict({"mcpServers": {"matrix": {"url": url}}})
        try:
            yield await several.create_session("matrix")
        finally:
            await several.close_all_sessions()
        return
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.sse import sse_client
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamablehttp_client

    if kind == "remote":
        transport: Any = stdio_client(StdioServerParameters(command=more[0], args=[*more[1:]]))
    else:
        transport = sse_client(url) if kind == "mcp1-sse" else streamablehttp_client(url)
    async with transport as streams, ClientSession(streams[0], streams[1]) as session:
        await session.initialize()
        yield session


async def ask(method: str, target: str | None, call: Any) -> list[Any]:
    """One request; its outcome in the weir's own words."""
    try:
        found = await call
    except Exception as error:  # whatever class the SDK has for a JSON-RPC error
        return [method, target, "rpc_error", type(error).__name__]
    failed = getattr(found, "is_error", None) or getattr(found, "isError", None)
    seen = {"tools": [digest(tool) for tool in found]} if isinstance(found, list) else found
    return [method, target, "tool_error" if failed else "ok", digest(seen)]


async def main(kind: str, url: str, calls: list[Any], more: list[str]) -> list[Any]:
    """The whole conversation."""
    async with connect(kind, url, more) as client:
        done = [await ask("tools/list", None, client.list_tools())]
        call_tool = getattr(client, "call_tool_mcp", client.call_tool)
        for name, arguments in calls:
            done.append(await ask("tools/call", name, call_tool(name, arguments)))
    return done


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]), sys.argv[4:]))))
