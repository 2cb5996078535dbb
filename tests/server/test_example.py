"""The example server offers what clients of both eras use, in every mode, and its own account is right."""

import asyncio
import contextlib
from typing import Any

import mcp_types
import pytest
from mcp import Client
from mcp.client.sse import sse_client
from mcp.shared.exceptions import MCPError

from weir_process import Running, start_example

ANSWERS = {"confirm": True, "seat": "window", "centimetres": 7.0}


async def agree(context: Any, params: mcp_types.ElicitRequestFormParams) -> mcp_types.ElicitResult:
    asked = params.requested_schema["properties"]
    return mcp_types.ElicitResult(action="accept", content={name: ANSWERS[name] for name in asked})


async def think(context: Any, params: mcp_types.CreateMessageRequestParams) -> mcp_types.CreateMessageResult:
    text = mcp_types.TextContent(type="text", text="short")
    return mcp_types.CreateMessageResult(role="assistant", content=text, model="a-model")


def client(server: Any, mode: str) -> Client:
    return Client(server, mode=mode, elicitation_callback=agree, sampling_callback=think)


async def said(client: Client, tool: str, **arguments: Any) -> str:
    found = await client.call_tool(tool, arguments)
    assert not found.is_error
    return found.content[0].text


@pytest.mark.parametrize("mode", ["legacy", "auto"])
@pytest.mark.parametrize("flags", [(), ("--json",), ("--stateless",), ("--event-store",)])
async def test_a_tool_a_resource_and_a_prompt_in_every_mode(flags: tuple[str, ...], mode: str) -> None:
    with start_example(*flags) as example:
        async with client(example.url, mode) as it:
            assert await said(it, "add", a=2, b=3) == "5"
            assert (await it.call_tool("fail", {})).is_error
            with pytest.raises(MCPError, match="refuses"):
                await it.call_tool("refuse", {})
            assert len(await said(it, "report", kilobytes=300)) == 300_000
            level = await it.read_resource("gauge://stations/mill/level")
            assert level.contents[0].text == "41.0 cm"
            briefing = await it.get_prompt("briefing", {"river": "Iller"})
            assert "Iller" in briefing.messages[0].content.text
        begun = {"legacy": {"initialize": 1}, "auto": {"server/discover": 1}}[mode]
        calls = {"tools/call": 4, "resources/read": 1, "prompts/get": 1}
        assert example.get("/stats")["requests"] == begun | calls | {"tools/list": 1}  # the client checks a schema


@pytest.mark.parametrize("mode", ["legacy", "auto"])
async def test_it_asks_back_in_each_eras_way_and_reports_progress(mode: str) -> None:
    seen: list[float] = []

    async def progress(done: float, total: float | None, message: str | None) -> None:
        seen.append(done)

    with start_example("--event-store") as example:
        async with client(example.url, mode) as it:
            assert await said(it, "book", city="Ulm") == "booked to Ulm, window"
            assert await said(it, "summarise", text="long") == "a-model: short"
            assert await said(it, "calibrate") == "0.0"
            assert await said(it, "detach", seconds=0.1) == "answered on another stream"
            await it.call_tool("count", {"to": 3, "pause": 0.01}, progress_callback=progress)
        answered = example.get("/stats")
    assert seen == [1, 2, 3]
    assert answered["responses"] == (4 if mode == "legacy" else 0)  # rounds instead, in the modern era
    assert answered["requests"]["tools/call"] == (5 if mode == "legacy" else 5 + 4)


async def test_http_and_sse_beside_it(example_with_sse: Running) -> None:
    async with client(sse_client(example_with_sse.url.replace("/mcp", "/sse")), "legacy") as it:
        assert await said(it, "add", a=2, b=3) == "5"
    async with client(example_with_sse.url, "auto") as it:
        assert await said(it, "add", a=2, b=3) == "5"


@pytest.fixture
def example_with_sse() -> Any:
    with start_example("--sse") as running:
        yield running


async def test_a_resumed_stream_replays_nobody_elses_answers() -> None:
    async def resume(it: Client) -> str:
        return await said(it, "detach", seconds=0.3)

    async def busy(it: Client) -> list[str]:
        return [await said(it, "add", a=n, b=0) for n in range(20)]

    with start_example("--event-store") as example:
        async with contextlib.AsyncExitStack() as stack:
            clients = [await stack.enter_async_context(client(example.url, "legacy")) for _ in range(6)]
            found = await asyncio.gather(*map(resume, clients[:3]), *map(busy, clients[3:]))
    assert found[:3] == ["answered on another stream"] * 3  # all six sessions use the same JSON-RPC ids
    assert found[3:] == [[str(n) for n in range(20)]] * 3
