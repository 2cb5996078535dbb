"""A resource, a resource template and a prompt."""

import json

from mcp.server.mcpserver import MCPServer

_STATIONS = {"north": 132.5, "south": 98.25, "mill": 41.0}


def register(server: MCPServer) -> None:
    """Add the content of this file."""
    server.resource("gauge://stations", mime_type="application/json")(stations)
    server.resource("gauge://stations/{station}/level")(level)
    server.prompt()(briefing)


def stations() -> str:
    """The names of all gauges."""
    return json.dumps(sorted(_STATIONS))


def level(station: str) -> str:
    """The level at one gauge, in centimetres."""
    return f"{_STATIONS[station]} cm"


def briefing(river: str, audience: str = "rowers") -> str:
    """A briefing on a river."""
    return f"Describe today's level of the {river} in three sentences for {audience}."
