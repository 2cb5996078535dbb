"""A FastMCP server as people write it, with one tool: `fastmcp_server.py PORT`."""

import sys

import uvicorn
from fastmcp import FastMCP

server = FastMCP("bench")


@server.tool
def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


if __name__ == "__main__":
    uvicorn.run(server.http_app(path="/mcp"), port=int(sys.argv[1]), log_level="warning")
