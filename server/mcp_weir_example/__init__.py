"""An example MCP server: plain MCPServer code that stands for any server and knows of nothing in front of it."""
