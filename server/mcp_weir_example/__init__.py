"""An example MCP server: knows nothing of mcp_weir, stands for any server."""
