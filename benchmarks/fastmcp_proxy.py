"""FastMCP's own proxy in front of an MCP server: `fastmcp_proxy.py PORT URL`."""

import sys

import uvicorn
from fastmcp.server import create_proxy

if __name__ == "__main__":
    uvicorn.run(create_proxy(sys.argv[2]).http_app(path="/mcp"), port=int(sys.argv[1]), log_level="warning")
