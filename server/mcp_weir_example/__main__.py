"""`python -m mcp_weir_example`: serve over Streamable HTTP (both eras) at /mcp, with HTTP+SSE at /sse if asked."""

import argparse
import contextlib
import signal
import socket
import sys
from collections.abc import AsyncIterator

import uvicorn
from mcp.server.mcpserver import MCPServer
from starlette.applications import Starlette
from starlette.types import ASGIApp

from mcp_weir_example import asking, content, tools
from mcp_weir_example.counting import Counting
from mcp_weir_example.events import MemoryEventStore, StorePerSession

MCP_PATHS = ("/mcp", "/sse", "/messages/")
_RETRY_MS = 200


def make_server() -> MCPServer:
    """The server with everything it offers."""
    server = MCPServer("weir-example", version="1.0.0", instructions="Tools of every temper.", log_level="WARNING")
    for part in (tools, asking, content):
        part.register(server)
    return server


def make_app(args: argparse.Namespace) -> ASGIApp:
    """The ASGI application in the mode that the flags ask for, counted."""
    server = make_server()
    app = server.streamable_http_app(
        json_response=args.json, stateless_http=args.stateless, host=args.host,
        event_store=MemoryEventStore() if args.event_store else None,
        retry_interval=_RETRY_MS if args.event_store else None,
    )
    if args.event_store:
        server.session_manager.__class__ = StorePerSession  # made by the SDK, which offers no other way in
    if args.sse:
        app = _beside(app, server.sse_app(host=args.host))
    return Counting(app, MCP_PATHS)


def _beside(modern: Starlette, sse: Starlette) -> Starlette:
    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        async with modern.router.lifespan_context(modern):
            yield

    return Starlette(routes=[*modern.routes, *sse.routes], lifespan=lifespan)


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(prog="mcp_weir_example", description="An example MCP server.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8051)
    parser.add_argument("--json", action="store_true", help="answer with JSON bodies instead of event streams")
    parser.add_argument("--stateless", action="store_true", help="no sessions, whatever the revision")
    parser.add_argument("--event-store", action="store_true", help="event ids, so that broken streams can be resumed")
    parser.add_argument("--sse", action="store_true", help="also HTTP+SSE (revision 2024-11-05) at /sse")
    args = parser.parse_args()
    with contextlib.closing(socket.socket(socket.AF_INET6 if ":" in args.host else socket.AF_INET)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((args.host, args.port))
        except OSError as error:
            sys.exit(f"mcp_weir_example: cannot listen on {args.host}:{args.port}: {error.strerror}")
        config = uvicorn.Config(
            make_app(args), log_level="warning", access_log=False, timeout_graceful_shutdown=2
        )
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # uvicorn ends in order, then raises the signal again
        with contextlib.suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[sock])


if __name__ == "__main__":
    main()
