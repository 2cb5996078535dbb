"""The demo: an example server, the weir, real MCP clients; and a judge that knows only what the clients know."""
