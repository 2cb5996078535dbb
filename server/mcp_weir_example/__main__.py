"""`python -m mcp_weir_example --port 8051 [--json] [--stateless]`: a plain MCP server."""

import argparse
import asyncio

from mcp.server.mcpserver import MCPServer

server = MCPServer("weir-example")


@server.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@server.tool()
async def slow(seconds: float) -> str:
    """Wait, then answer."""
    await asyncio.sleep(min(seconds, 60))
    return f"waited {seconds} s"


@server.tool()
def fail() -> str:
    """Always fails."""
    raise ValueError("this tool always fails")


def main() -> None:
    """Serve Streamable HTTP until interrupted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8051)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--stateless", action="store_true")
    args = parser.parse_args()
    server.run(
        "streamable-http", host=args.host, port=args.port, json_response=args.json, stateless_http=args.stateless
    )


if __name__ == "__main__":
    main()
