"""Tools that ask back: by elicitation and by sampling.

One declaration serves both eras: up to 2025-11-25 the server sends a request of its own in the middle of the call,
from 2026-07-28 on it answers `input_required` and the client comes again with the answers.
"""

from typing import Annotated

from mcp.server.mcpserver import AcceptedElicitation, Elicit, ElicitationResult, MCPServer, Resolve, Sample
from mcp_types import CreateMessageResult, SamplingMessage, TextContent
from pydantic import BaseModel, Field


class Booking(BaseModel):
    """What `book` asks the user."""

    confirm: bool = Field(description="Really book?")
    seat: str = Field(default="aisle", description="window or aisle")


class Reading(BaseModel):
    """What `calibrate` asks twice."""

    centimetres: float


def register(server: MCPServer) -> None:
    """Add every tool of this file."""
    for tool in (book, summarise, calibrate):
        server.add_tool(tool)


def _ask_booking(city: str) -> Elicit[Booking]:
    return Elicit(f"Book a train to {city}?", Booking)


async def book(city: str, answer: Annotated[ElicitationResult[Booking], Resolve(_ask_booking)]) -> str:
    """Book a train, once the user has agreed."""
    if isinstance(answer, AcceptedElicitation) and answer.data.confirm:
        return f"booked to {city}, {answer.data.seat}"
    return "nothing booked"


def _ask_model(text: str) -> Sample:
    asked = SamplingMessage(role="user", content=TextContent(type="text", text=f"Summarise: {text}"))
    return Sample([asked], max_tokens=100)


async def summarise(text: str, answer: Annotated[CreateMessageResult, Resolve(_ask_model)]) -> str:
    """Summarise a text with the client's own model."""
    return f"{answer.model}: {getattr(answer.content, 'text', '')}"


def _ask_low() -> Elicit[Reading]:
    return Elicit("The gauge at low water?", Reading)


def _ask_high(low: Annotated[Reading, Resolve(_ask_low)]) -> Elicit[Reading]:
    return Elicit(f"The gauge at high water (low was {low.centimetres:g})?", Reading)


async def calibrate(
    low: Annotated[Reading, Resolve(_ask_low)], high: Annotated[Reading, Resolve(_ask_high)]
) -> float:
    """Ask twice, the second question knowing the first answer; the span in centimetres."""
    return high.centimetres - low.centimetres
