"""An MCP server of the real SDK with manners that the example server lacks: `odd_server.py PORT MANNERS`.

MANNERS: `legacy` answers modern requests (2026-07-28) with 400; `undying` answers DELETE with 405;
`slash` redirects /mcp to /mcp/, as servers do that mount an application.
"""

import sys

import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.responses import JSONResponse, RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


def make_server() -> MCPServer:
    server = MCPServer("odd")

    @server.tool()
    def add(a: int, b: int) -> int:
        """Add two numbers."""
        return a + b

    return server


class Manners:
    """What stands before the application."""

    def __init__(self, app: ASGIApp, manners: list[str]) -> None:
        self._app, self._manners = app, manners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self._app
        if scope["type"] == "http":
            headers = dict(scope["headers"])
            modern = headers.get(b"mcp-protocol-version", b"") >= b"2026-07-28"
            if "slash" in self._manners and not scope["path"].endswith("/"):
                app = RedirectResponse(scope["path"] + "/", 307)
            elif "slash" in self._manners:
                scope = {**scope, "path": scope["path"].rstrip("/"), "raw_path": scope["path"].rstrip("/").encode()}
            if ("legacy" in self._manners and modern) or ("undying" in self._manners and scope["method"] == "DELETE"):
                while (await receive()).get("more_body"):  # else nobody knows what is refused
                    continue
                app = JSONResponse({"error": "no"}, 400 if modern else 405)
        await app(scope, receive, send)


if __name__ == "__main__":
    uvicorn.run(Manners(make_server().streamable_http_app(), sys.argv[2:]), port=int(sys.argv[1]), log_level="warning")
