"""db: migrate, status, url and what keeps the database in order."""

import contextlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

import click

from mcp_weir.cli.options import database, with_settings
from mcp_weir.config import Settings


@click.group()
def db() -> None:
    """The database."""


@contextlib.contextmanager
def _connected(settings: Settings) -> Iterator[Any]:
    """A connection to a database whose schema is up to date."""
    from mcp_weir.store import connect, migrate

    with database(settings) as url, connect.session(url) as conn:
        migrate.migrate(conn)
        yield conn


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

    with database(settings) as url, connect.session(url) as conn:
        click.echo(f"schema version {migrate.migrate(conn)}")


@db.command("status")
@with_settings("database")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def db_status(settings: Settings, as_json: bool) -> None:
    """The schema's version against ours, sizes, what waits, what was refused."""
    from mcp_weir.store import connect, migrate
    from mcp_weir.store.status import status

    with database(settings) as url, connect.session(url) as conn:
        known = migrate.migrations()[-1][0]
        found = {"schema_version": migrate.version(conn), "schema_known": known}
        if found["schema_version"]:
            found |= status(conn)
    _show(found, as_json)


@db.command("prune")
@with_settings("database", "recorder")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def db_prune(settings: Settings, as_json: bool) -> None:
    """Drop what is older than --retention, as a recorder does every hour; rollups are kept longer."""
    from mcp_weir.store import retention

    with _connected(settings) as conn:
        _show(retention.prune(conn, settings.retention), as_json)


@db.command("rollup")
@with_settings("database")
def db_rollup(settings: Settings) -> None:
    """Make the rollups again from the requests that are still there. Recorders wait meanwhile, traffic does not."""
    from mcp_weir.store import retention

    with _connected(settings) as conn:
        click.echo(f"rollups made again from {retention.rebuild_rollups(conn)} requests")


@db.command("forget")
@with_settings("database", "relay")
@click.argument("subject")
@click.option("--issuer", default="", help="The `iss` of a subject named by a JWT.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object.")
def db_forget(settings: Settings, subject: str, issuer: str, as_json: bool) -> None:
    """Erase one principal or session: SUBJECT is a session_key, a principal_key (hex), or the text behind one.

    Rows, captured content and what is pending go at once; what is still spooled will make no row. Aggregates stay.
    """
    from mcp_weir.app.subject import subject_of
    from mcp_weir.recorder.forget import forget
    from mcp_weir.spool.segment import ask_to_rotate

    with _connected(settings) as conn:
        _show(forget(conn, subject_of(settings, conn, subject, issuer)), as_json)
    ask_to_rotate(settings.data_dir / "spool")  # a quiet worker keeps a small segment for an hour


def _show(found: Mapping[str, int], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(dict(found)))
        return
    for name, value in found.items():
        click.echo(f"{name.replace('_', ' '):<20} {value}")
    if not found:
        click.echo("nothing to do")


@db.command("archon-views")
@with_settings("database", "cost")
def db_archon_views(settings: Settings) -> None:
    """Archon's tables as views (archon_mcp_sessions, archon_mcp_requests) and its summary functions, over our rows."""
    from mcp_weir.store import archon, reads

    prices = reads.load_prices(settings.prices, settings.model)
    with _connected(settings) as conn:
        archon.install(conn, prices)
    click.echo(f"created {', '.join(archon.VIEWS)} and their functions"
               + ("" if prices else "; no cost: it needs --prices and --model"))
