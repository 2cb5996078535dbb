"""The command line (click). A command's module is loaded when it runs: start-up stays quick."""

import difflib
import importlib.util

import click

from mcp_weir.app.failure import one_sentence

COMMANDS = {
    "up": "run:up",
    "relay": "run:relay",
    "recorder": "run:recorder",
    "dashboard": "run:dashboard",
    "demo": "demo:demo",
    "sessions": "read:sessions",
    "session": "read:session",
    "requests": "read:requests",
    "tools": "read:tools",
    "clients": "read:clients",
    "users": "read:users",
    "streams": "read:streams",
    "coverage": "read:coverage",
    "errors": "read:errors",
    "search": "read:search",
    "tail": "watch:tail",
    "report": "watch:report",
    "status": "watch:status",
    "export": "export:export",
    "doctor": "check:doctor",
    "settings": "check:settings",
    "db": "db:db",
    "spool": "spool:spool",
}
SUMMARIES = {
    "up": "Start relay workers and the recorder; restart what dies.",
    "relay": "The relay alone: forwards and spools.",
    "recorder": "The recorder alone: spool to Postgres, and the admin port.",
    "dashboard": "The dashboard alone.",
    "demo": "Example server, weir and real MCP clients; something to look at.",
    "sessions": "Who came.",
    "session": "One session: everything in it, in order.",
    "requests": "What was asked, and how it ended.",
    "tools": "Tools: volume, latency, errors.",
    "clients": "Clients and the revisions they speak.",
    "users": "Who calls, where requests name a user.",
    "streams": "Standing streams.",
    "coverage": "Exchanges seen against stored, by minute.",
    "errors": "Failures, alike ones together; whose fault.",
    "search": "Names, messages and keys that hold some words.",
    "tail": "Requests as they end.",
    "report": "The whole picture on one screen.",
    "status": "How recording fares, and what is wrong.",
    "export": "Requests as JSONL, CSV or Parquet.",
    "doctor": "Look for what will not work.",
    "settings": "Every setting, as Markdown.",
    "db": "The database: migrate, status, prune, url, ...",
    "spool": "What waits on disk.",
}

HOW = ", compiled" if importlib.util.find_spec("mcp_weir.compiled__mypyc") else ""  # deploy/hatch_compile.py


class Lazy(click.Group):
    """A group that knows its commands' names and imports one when it is wanted."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            near = difflib.get_close_matches(cmd_name, COMMANDS, 1)
            ctx.fail(f"No such command {cmd_name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
        module, _, name = COMMANDS[cmd_name].partition(":")
        found = getattr(importlib.import_module(f"mcp_weir.cli.{module}"), name)
        assert isinstance(found, click.Command)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, SUMMARIES[name]) for name in COMMANDS])


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="mcp-weir", message=f"%(prog)s, version %(version)s{HOW}")
def cli() -> None:
    """A reverse-proxy sidecar that measures MCP traffic as it flows past."""


def main() -> None:
    """The entry point: one sentence for what goes wrong, no traceback."""
    with one_sentence():
        cli()
