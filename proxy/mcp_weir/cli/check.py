"""doctor and settings."""

import sys

import click

from mcp_weir.cli.options import with_settings
from mcp_weir.config import Settings


@click.command()
@with_settings("relay", "admin", "database")
@click.option("--json", "as_json", is_flag=True, help="One JSON array.")
def doctor(settings: Settings, as_json: bool) -> None:
    """Look for what will not work: upstream, port, database, disk, key, limits. Exit 1 if something does not."""
    import json

    from mcp_weir import doctor
    from mcp_weir.app import database

    checks = doctor.examine(settings, database.examine(database.database_url(settings), settings.data_dir))
    if as_json:
        click.echo(json.dumps([{"check": c.name, "ok": c.ok, "says": c.says} for c in checks]))
    else:
        for check in checks:
            word, color = {True: ("ok  ", "green"), False: ("FAIL", "red"), None: ("note", "yellow")}[check.ok]
            mark = click.style(word, fg=color)
            click.echo(f"{mark}  {check.name:<12} {check.says}")
    sys.exit(1 if any(check.ok is False for check in checks) else 0)


@click.command()
def settings() -> None:
    """Every setting with its flag, variable and default, as Markdown."""
    from mcp_weir import config

    click.echo(config.documentation(), nl=False)
