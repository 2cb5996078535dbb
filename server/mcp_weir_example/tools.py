"""Tools: quick, slow, failing, chatty, large, and one whose stream closes before its answer."""

import asyncio
import random

from mcp.server.mcpserver import Context, MCPServer
from mcp.server.mcpserver.exceptions import ToolError
from mcp.shared.exceptions import MCPError

_MAX_S = 600.0
_WORDS = ("weir", "river", "gauge", "flow", "level", "stage", "crest", "notch", "flume", "datum")


def register(server: MCPServer) -> None:
    """Add every tool of this file."""
    for tool in (add, echo, slow, fail, refuse, count, report, detach):
        server.add_tool(tool)


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


def echo(text: str) -> str:
    """The same text again."""
    return text


async def slow(seconds: float) -> str:
    """Wait, then answer."""
    await asyncio.sleep(min(max(seconds, 0), _MAX_S))
    return f"waited {seconds} s"


def fail(reason: str = "this tool always fails") -> str:
    """Always fails: a result with isError."""
    raise ToolError(reason)


def refuse() -> str:
    """Always refused: a JSON-RPC error instead of a result."""
    raise MCPError(-32011, "this tool refuses every call")


async def count(ctx: Context, to: int = 5, pause: float = 0.1) -> str:
    """Count upward, reporting progress at each step."""
    for step in range(1, min(to, 1000) + 1):
        await asyncio.sleep(min(pause, 10))
        await ctx.report_progress(step, to, f"step {step} of {to}")
    return f"counted to {to}"


def report(kilobytes: int = 256) -> str:
    """A large result: so many KB of words, the same for the same size."""
    size = min(max(kilobytes, 0), 65536) * 1000
    words = random.Random(kilobytes).choices(_WORDS, k=1000)
    text = " ".join(words) + "\n"
    return (text * (size // len(text) + 1))[:size]


async def detach(ctx: Context, seconds: float = 0.5) -> str:
    """Close this call's stream early; the answer waits for a resumed one (--event-store, revisions before 2026)."""
    await ctx.close_sse_stream()
    await asyncio.sleep(min(seconds, 60))
    return "answered on another stream"
