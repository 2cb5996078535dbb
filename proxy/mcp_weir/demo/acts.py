"""What a client does in one conversation: short scripts over a real MCP client. Knows nothing of the weir."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import mcp_types as types
from mcp import Client
from mcp.shared.exceptions import MCPError

Act = Callable[["Talk"], Awaitable[None]]
_ANSWERS: dict[str, Any] = {"confirm": True, "seat": "window", "centimetres": 41.0}


class Talk:
    """One conversation as its script sees it: calls, and pauses of human length times `pace`."""

    def __init__(
        self, client: Client, cut: Callable[[], Awaitable[None]], rng: random.Random, pace: float
    ) -> None:
        self.client, self.cut, self.rng, self._pace = client, cut, rng, pace

    async def pause(self, low: float = 0.2, high: float = 0.9) -> None:
        """Think."""
        await asyncio.sleep(self.rng.uniform(low, high) * self._pace)

    async def call(self, tool: str, **arguments: Any) -> None:
        """Call a tool and take whatever comes of it."""
        try:
            await self.client.call_tool(tool, arguments, progress_callback=_progress)
        except MCPError:
            pass  # an error is an answer too
        await self.pause()


async def browse(talk: Talk) -> None:
    """List everything, read a little."""
    await talk.client.list_tools()
    await talk.pause()
    await talk.client.list_resources()
    await talk.client.read_resource("gauge://stations")
    await talk.pause()
    await talk.client.read_resource(f"gauge://stations/{talk.rng.choice(['north', 'south', 'mill'])}/level")
    await talk.client.get_prompt("briefing", {"river": "Iller"})


async def compute(talk: Talk) -> None:
    """An agent's ordinary work: many quick calls."""
    await talk.client.list_tools()
    for _ in range(talk.rng.randint(6, 14)):
        await talk.call("add", a=talk.rng.randint(0, 99), b=talk.rng.randint(0, 99))
    await talk.call("echo", text="the same again")


async def patient(talk: Talk) -> None:
    """Slow tools and progress."""
    await talk.call("slow", seconds=round(talk.rng.uniform(0.5, 1.5), 2))
    await talk.call("count", to=8, pause=0.1)
    await talk.call("slow", seconds=2.3)


async def unlucky(talk: Talk) -> None:
    """Calls that fail in each way that an answer can."""
    await talk.call("add", a=1, b=2)
    for _ in range(talk.rng.randint(2, 4)):
        await talk.call("fail", reason="the gauge is out of order")
    await talk.call("refuse")
    await talk.call("no_such_tool")
    await talk.call("add", a="one", b=2)


async def asked(talk: Talk) -> None:
    """Tools that ask back."""
    await talk.call("book", city=talk.rng.choice(["Ulm", "Kempten", "Sonthofen"]))
    await talk.call("summarise", text="The river rose by four centimetres overnight.")
    await talk.call("calibrate")


async def hungry(talk: Talk) -> None:
    """Large results, several at once."""
    await talk.client.list_tools()
    await asyncio.gather(*(talk.call("report", kilobytes=size) for size in (40, 150, 400)))


async def detached(talk: Talk) -> None:
    """An answer that comes on another stream than the call."""
    await talk.call("add", a=4, b=4)
    await talk.call("detach", seconds=0.4)


async def gives_up(talk: Talk) -> None:
    """Cancel a call in the era's own way."""
    await talk.call("add", a=1, b=1)
    call = asyncio.create_task(talk.client.call_tool("slow", {"seconds": 30}))
    await talk.pause(0.6, 1.0)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    await talk.pause()


async def _progress(progress: float, total: float | None, message: str | None) -> None:
    """Progress is asked for, and shown nowhere."""


def answers(rng: random.Random, pace: float) -> Mapping[str, Any]:
    """The callbacks of a client whose user and model answer after a moment."""

    async def think(low: float, high: float) -> None:
        await asyncio.sleep(rng.uniform(low, high) * pace)

    async def elicit(context: Any, params: types.ElicitRequestParams) -> types.ElicitResult:
        await think(0.4, 1.2)
        if not isinstance(params, types.ElicitRequestFormParams) or rng.random() < 0.15:
            return types.ElicitResult(action="decline")
        asked = params.requested_schema["properties"]
        return types.ElicitResult(action="accept", content={name: _ANSWERS[name] for name in asked})

    async def sample(context: Any, params: types.CreateMessageRequestParams) -> types.CreateMessageResult:
        await think(0.5, 1.5)
        text = types.TextContent(type="text", text="The river rose.")
        return types.CreateMessageResult(role="assistant", content=text, model="demo-model-1")

    return {"elicitation_callback": elicit, "sampling_callback": sample}
