"""What the public conformance suite asks of a server, on mcp 1.x: `conformance_server.py PORT`.

The names are the suite's own. Counts the JSON-RPC requests that reach it; `GET /counts` tells them.
"""

import asyncio
import base64
import collections
import json
import sys
from typing import Any

import uvicorn
from mcp import types
from mcp.server.fastmcp import Context, FastMCP
from mcp.server.fastmcp.prompts.base import UserMessage
from mcp.server.streamable_http import EventMessage, EventStore
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
SILENCE = base64.b64encode(b"RIFF$\0\0\0WAVEfmt \x10\0\0\0\1\0\1\0@\x1f\0\0@\x1f\0\0\1\0\x08\0data\0\0\0\0").decode()
STRICT_2020_12 = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "$defs": {"address": {"type": "object", "properties": {"street": {"type": "string"}, "city": {"type": "string"}}}},
    "properties": {"name": {"type": "string"}, "address": {"$ref": "#/$defs/address"}},
    "additionalProperties": False,
}


class Remembered(EventStore):
    """Events in memory: what has been said on a stream can be said again."""

    def __init__(self) -> None:
        self._said: list[tuple[str, Any]] = []

    async def store_event(self, stream_id: str, message: Any) -> str:
        self._said.append((stream_id, message))
        return str(len(self._said) - 1)

    async def replay_events_after(self, last_event_id: str, send_callback: Any) -> str | None:
        after = int(last_event_id)
        stream = self._said[after][0]
        for number, (stream_id, message) in enumerate(self._said):
            if number > after and stream_id == stream and message is not None:
                await send_callback(EventMessage(message, str(number)))
        return stream


mcp = FastMCP("conformance", event_store=Remembered(), retry_interval=100)
text = lambda said: types.TextContent(type="text", text=said)  # noqa: E731
image = types.ImageContent(type="image", data=PIXEL, mimeType="image/png")


def resource(uri: str, mime: str, said: str) -> types.EmbeddedResource:
    """An embedded text resource."""
    held = types.TextResourceContents(uri=uri, mimeType=mime, text=said)  # type: ignore[arg-type]
    return types.EmbeddedResource(type="resource", resource=held)


def constant(name: str, content: list[Any]) -> None:
    """A tool that always answers the same."""

    def tool() -> list[Any]:
        return content

    mcp.tool(name=name, description="Always answers the same", structured_output=False)(tool)


constant("test_simple_text", [text("This is a simple text response for testing.")])
constant("test_image_content", [image])
constant("test_audio_content", [types.AudioContent(type="audio", data=SILENCE, mimeType="audio/wav")])
constant("test_embedded_resource", [resource("test://embedded-resource", "text/plain", "An embedded resource.")])
constant("test_multiple_content_types", [
    text("Multiple content types test:"), image,
    resource("test://mixed-content-resource", "application/json", json.dumps({"test": "data", "value": 123})),
])


@mcp.tool()
async def test_tool_with_logging(ctx: Context) -> str:  # type: ignore[type-arg]
    """Test tool with logging, as the suite asks for it."""
    for said in ("Tool execution started", "Tool processing data", "Tool execution completed"):
        await ctx.info(said)
        await asyncio.sleep(0.05)
    return "logged"


@mcp.tool()
async def test_tool_with_progress(ctx: Context) -> str:  # type: ignore[type-arg]
    """Test tool with progress, as the suite asks for it."""
    for done in (0, 50, 100):
        await ctx.report_progress(done, 100)
        await asyncio.sleep(0.05)
    return "done"


@mcp.tool()
def test_error_handling() -> str:
    """Test error handling, as the suite asks for it."""
    raise RuntimeError("This tool intentionally returns an error for testing")


@mcp.tool()
async def test_reconnection(ctx: Context) -> str:  # type: ignore[type-arg]
    """Test reconnection, as the suite asks for it."""
    await ctx.close_sse_stream()
    await asyncio.sleep(0.2)
    return "answered on the resumed stream"


@mcp.tool()
async def test_sampling(prompt: str, ctx: Context) -> str:  # type: ignore[type-arg]
    """Test sampling, as the suite asks for it."""
    asked = [types.SamplingMessage(role="user", content=text(prompt))]
    answer = await ctx.session.create_message(messages=asked, max_tokens=100, related_request_id=ctx.request_id)
    return f"LLM response: {getattr(answer.content, 'text', '')}"


class Answer(BaseModel):
    response: str = Field(description="User's response")


class Defaults(BaseModel):
    name: str = "John Doe"
    age: int = 30
    score: float = 95.5
    status: str = Field("active", json_schema_extra={"enum": ["active", "inactive", "pending"]})
    verified: bool = True


def titled(*pairs: tuple[str, str]) -> list[dict[str, str]]:
    """Options with titles."""
    return [{"const": value, "title": title} for value, title in pairs]


_TITLED = titled(("value1", "First Option"), ("value2", "Second Option"), ("value3", "Third Option"))
_OPTIONS = ["option1", "option2", "option3"]


class Enums(BaseModel):
    untitledSingle: str = Field(json_schema_extra={"enum": [*_OPTIONS]})
    titledSingle: str = Field(json_schema_extra={"oneOf": [*_TITLED]})
    legacyEnum: str = Field(
        json_schema_extra={"enum": ["opt1", "opt2", "opt3"], "enumNames": ["Option One", "Option Two", "Option Three"]}
    )
    untitledMulti: list[str] = Field(json_schema_extra={"items": {"type": "string", "enum": [*_OPTIONS]}})
    titledMulti: list[str] = Field(json_schema_extra={"items": {"anyOf": [*_TITLED]}})


async def _elicit(ctx: Context, message: str, schema: type[BaseModel]) -> str:  # type: ignore[type-arg]
    found = await ctx.elicit(message=message, schema=schema)
    content = found.data.model_dump_json() if found.action == "accept" else "{}"
    return f"User response: action={found.action}, content={content}"


@mcp.tool()
async def test_elicitation(message: str, ctx: Context) -> str:  # type: ignore[type-arg]
    """Test elicitation, as the suite asks for it."""
    return await _elicit(ctx, message, Answer)


@mcp.tool()
async def test_elicitation_sep1034_defaults(ctx: Context) -> str:  # type: ignore[type-arg]
    """Test elicitation sep1034 defaults, as the suite asks for it."""
    return await _elicit(ctx, "Please check these defaults", Defaults)


@mcp.tool()
async def test_elicitation_sep1330_enums(ctx: Context) -> str:  # type: ignore[type-arg]
    """Test elicitation sep1330 enums, as the suite asks for it."""
    return await _elicit(ctx, "Please choose", Enums)


@mcp.tool(name="json_schema_2020_12_tool", description="Tool with JSON Schema 2020-12 features")
def schema_tool(name: str = "", address: dict[str, str] | None = None) -> str:
    return name


mcp._tool_manager._tools["json_schema_2020_12_tool"].parameters = STRICT_2020_12


@mcp.resource("test://static-text", mime_type="text/plain")
def static_text() -> str:
    return "This is the content of the static text resource."


@mcp.resource("test://static-binary", mime_type="image/png")
def static_binary() -> bytes:
    return base64.b64decode(PIXEL)


@mcp.resource("test://template/{id}/data", mime_type="application/json")
def template(id: str) -> str:
    return json.dumps({"id": id, "templateTest": True, "data": f"Data for ID: {id}"})


@mcp.resource("test://watched-resource", mime_type="text/plain")
def watched() -> str:
    return "watched"


@mcp.prompt()
def test_simple_prompt() -> list[UserMessage]:
    """Test simple prompt, as the suite asks for it."""
    return [UserMessage(text("This is a simple prompt for testing."))]


@mcp.prompt()
def test_prompt_with_arguments(arg1: str, arg2: str) -> list[UserMessage]:
    """Test prompt with arguments, as the suite asks for it."""
    return [UserMessage(text(f"Prompt with arguments: arg1='{arg1}', arg2='{arg2}'"))]


@mcp.prompt()
def test_prompt_with_embedded_resource(resourceUri: str) -> list[UserMessage]:
    """Test prompt with embedded resource, as the suite asks for it."""
    held = resource(resourceUri, "text/plain", "Embedded resource content for testing.")
    return [UserMessage(held), UserMessage(text("Please process the embedded resource above."))]


@mcp.prompt()
def test_prompt_with_image() -> list[UserMessage]:
    """Test prompt with image, as the suite asks for it."""
    return [UserMessage(image), UserMessage(text("Please analyze the image above."))]


@mcp.completion()
async def complete(ref: Any, argument: Any, context: Any) -> types.Completion:
    return types.Completion(values=[], total=0, hasMore=False)


@mcp._mcp_server.set_logging_level()  # type: ignore[no-untyped-call,untyped-decorator]
async def set_level(level: Any) -> None:
    """Taken note of."""


@mcp._mcp_server.subscribe_resource()  # type: ignore[no-untyped-call,untyped-decorator]
async def subscribe(uri: Any) -> None:
    """Taken note of."""


@mcp._mcp_server.unsubscribe_resource()  # type: ignore[no-untyped-call,untyped-decorator]
async def unsubscribe(uri: Any) -> None:
    """Taken note of."""


class Counting:
    """ASGI: counts the JSON-RPC requests in the bodies that come."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.counts: collections.Counter[str] = collections.Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] == "/counts":
            await JSONResponse(self.counts)(scope, receive, send)
            return
        body = bytearray()

        async def watch() -> Any:
            message = await receive()
            body.extend(message.get("body", b""))
            if message["type"] == "http.request" and not message.get("more_body"):
                self._count(bytes(body))
                body.clear()
            return message

        await self.app(scope, watch, send)

    def _count(self, body: bytes) -> None:
        try:
            found = json.loads(body) if body else []
        except ValueError:
            return
        for message in found if isinstance(found, list) else [found]:
            if isinstance(message, dict) and "method" in message and "id" in message:
                self.counts[message["method"]] += 1


if __name__ == "__main__":
    uvicorn.run(Counting(mcp.streamable_http_app()), port=int(sys.argv[1]), log_level="warning")
