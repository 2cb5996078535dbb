"""db: migrate, status, url and what keeps the database in order."""

import click

from mcp_weir.cli.options import database, with_settings
from mcp_weir.config import Settings


@click.group()
def db() -> None:
    """The database."""


@db.command("url")
@with_settings("database")
def db_url(settings: Settings) -> None:
    """Print the database's URL, whole (an embedded one answers while `up` runs)."""
    with database(settings) as url:
        click.echo(url)


@db.command("migrate")
@with_settings("database")
def db_migrate(settings: Settings) -> None:
    """Bring the schema up to date."""
    from mcp_weir.store import connect, migrate

    with database(settings) as url, connect.connect(url) as conn:
        click.echo(f"schema version {migrate.migrate(conn)}")
