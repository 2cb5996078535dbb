"""mcp-weir: a reverse-proxy sidecar that measures MCP traffic as it flows past."""

__version__ = "0.1.0"
