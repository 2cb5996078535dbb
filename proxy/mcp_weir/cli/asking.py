"""Options that every reading command takes, and how it reaches the database."""

import functools
import json
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, tzinfo
from typing import Any, TypeVar

import click

from mcp_weir.cli.options import database, with_settings
from mcp_weir.config import Settings
from mcp_weir.errors import UsageError
from mcp_weir.store.shapes.names import END_REASONS, FAULTS, LAYERS, OUTCOMES

T = TypeVar("T")
Command = Callable[..., Any]
_FILTERS: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "service": (("--service",), {"help": "Only this service (upstream)."}),
    "client": (("--client",), {"help": "Only this client, by its label."}),
    "tool": (("--tool",), {"help": "Only calls of this tool."}),
    "method": (("--method",), {"help": "Only this JSON-RPC method."}),
    "outcome": (("--outcome",), {"type": click.Choice(OUTCOMES), "metavar": "OUTCOME",
                                 "help": f"Only this one: {', '.join(OUTCOMES)}."}),
    "errors": (("--errors",), {"is_flag": True, "help": "Only failures."}),
    "session": (("--session",), {"metavar": "ID", "help": "Only this session: its key or how it begins."}),
    "slow_ms": (("--slow", "slow_ms"), {"type": click.FloatRange(0), "metavar": "MS",
                                        "help": "Only what lasted so many milliseconds or more."}),
    "text": (("--text",), {"help": "Only what holds this text in names or messages."}),
    "principal": (("--user", "principal"), {"help": "Only this user: the key's hex digits, or the kept name."}),
    "status": (("--status",), {"type": click.Choice(["active", "idle", "ended"]), "help": "Only such sessions."}),
    "era": (("--era",), {"type": click.Choice(["legacy", "modern", "unknown"]), "help": "Only this era of MCP."}),
    "end_reason": (("--end-reason",), {"type": click.Choice(END_REASONS), "metavar": "REASON",
                                       "help": f"Only what ended so: {', '.join(END_REASONS)}."}),
    "ghosts": (("--ghosts/--no-ghosts",), {"default": None, "help": "Only sessions without a call, or with."}),
    "kind": (("--kind",), {"type": click.Choice(["get", "sse", "listen", "resumed"]), "help": "Only such streams."}),
    "open": (("--open/--closed", "open_"), {"default": None, "help": "Only streams that are open, or closed."}),
    "layer": (("--layer",), {"type": click.Choice(LAYERS),
                               "help": "Only what failed there."}),
    "fault": (("--fault",), {"type": click.Choice(FAULTS),
                               "help": "Only what is their fault."}),
}


@dataclass(frozen=True, slots=True)
class Asked:
    """What every reading command was asked."""

    settings: Settings
    since: str
    until: str | None
    limit: int
    as_json: bool
    zone: tzinfo | None


def asking(*filters: str, since: str = "24h", limit: int = 50, uses: str = "") -> Callable[[Command], Command]:
    """Give a command an Asked, and a value for each of these filters."""

    def wrap(command: Command) -> Command:
        @functools.wraps(command)
        def run(settings: Settings, since: str, until: str | None, limit: int, as_json: bool, utc: bool,
                **said: Any) -> Any:
            try:
                return command(Asked(settings, since, until, limit, as_json, UTC if utc else None), **said)
            except ValueError as error:  # a read says that it cannot be asked so
                raise UsageError(str(error)) from None

        made: Command = run
        for name in reversed(filters):
            names, kind = _FILTERS[name]
            made = click.option(*names, **kind)(made)
        for names, kind in (
            (("--utc",), {"is_flag": True, "help": "Times in UTC, not on this machine's clock (JSON is always UTC)."}),
            (("--json", "as_json"), {"is_flag": True, "help": "JSON instead of tables: one array, or one object."}),
            (("--limit",), {"default": limit, "show_default": True, "type": click.IntRange(1, 1_000_000),
                            "metavar": "ROWS", "help": "At most so many."}),
            (("--until",), {"default": None, "help": "As --since; default now."}),
            (("--since",), {"default": since, "show_default": True, "help": "30s, 15m, 2h, 7d, or an ISO 8601 time."}),
        ):
            made = click.option(*names, **kind)(made)
        return _settings_last(made, len(made.__click_params__), uses)  # type: ignore[attr-defined]

    return wrap


def _settings_last(command: Command, own: int, uses: str) -> Command:
    """--help begins with what this command alone takes: click lists options from the last one made to the first."""
    made = with_settings("database", *uses.split())(command)
    listed: list[Any] = made.__click_params__  # type: ignore[attr-defined]
    listed[:] = listed[own:] + listed[:own]
    return made


def read(asked: Asked, work: Callable[[Any], Awaitable[T]]) -> T:
    """Run reads over the database that the settings name. Raises StoreError when it cannot be reached."""
    from mcp_weir.store import connect

    with database(asked.settings) as url:
        return connect.read(url, work)


def say(asked: Asked, value: object, show: Callable[[], Any], empty: str = "") -> None:
    """The value as JSON, or as what `show` renders; `empty` is said on stderr where there is nothing."""
    from mcp_weir.store.shapes import to_json

    if asked.as_json:
        click.echo(json.dumps(to_json(value)))
        return
    if empty and not value:
        click.echo(f"mcp-weir: {empty}", err=True)
        return
    console().print(show())


def console() -> Any:
    """Where tables go: as wide as the terminal, or wide enough for a pipe; colours on a terminal only."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 220, markup=False, highlight=False, emoji=False)
