"""Reading commands: the public views as tables or JSON."""

from typing import Any

import click

from mcp_weir.cli.options import database, with_settings
from mcp_weir.config import Settings


def _reading(view: str) -> Any:
    @with_settings("database")
    @click.option("--limit", default=50, type=click.IntRange(1))
    @click.option("--since", default=None, help="30s, 15m, 2h, 7d")
    @click.option("--json", "as_json", is_flag=True)
    def command(settings: Settings, limit: int, since: str | None, as_json: bool) -> None:
        from mcp_weir import reports

        with database(settings) as url:
            click.echo(reports.render(url, view, since=since, limit=limit, as_json=as_json))

    return click.command(view, help=f"The newest rows of weir.{view}.")(command)


sessions, requests, streams, coverage = (_reading(v) for v in ("sessions", "requests", "streams", "coverage"))
