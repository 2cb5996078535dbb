"""The command line (click). Loads a command's modules when it runs: the one place for local imports."""

import sys
from pathlib import Path
from typing import Any

import click

from mcp_weir.errors import StoreError, UsageError, WeirError

DATA_DIR = click.option(
    "--data-dir", type=click.Path(path_type=Path), envvar="WEIR_DATA_DIR",
    default=Path.home() / ".local" / "share" / "mcp-weir", help="Key, spool and embedded Postgres live here.",
)
DATABASE = click.option("--database-url", envvar="WEIR_DATABASE_URL", default=None, help="postgresql://...")
UPSTREAM = click.option("--upstream", envvar="WEIR_UPSTREAM", required=True, help="The MCP server, with its path.")
SERVICE = click.option("--service", envvar="WEIR_SERVICE", default=None, help="Default: the upstream's host and port.")
DRAIN = click.option("--drain-timeout", envvar="WEIR_DRAIN_TIMEOUT", default=25.0, help="Seconds.")
RAW_IDS = click.option("--keep-session-ids", envvar="WEIR_KEEP_SESSION_IDS", is_flag=True, help="Store raw ids.")


@click.group()
@click.version_option(package_name="mcp-weir")
def cli() -> None:
    """A reverse-proxy sidecar that measures MCP traffic as it flows past."""


@cli.command()
@UPSTREAM
@click.option("--listen", envvar="WEIR_LISTEN", default="127.0.0.1:8052")
@DATABASE
@DATA_DIR
@SERVICE
@DRAIN
@RAW_IDS
def up(
    upstream: str, listen: str, database_url: str | None, data_dir: Path, service: str | None, drain_timeout: float,
    keep_session_ids: bool,
) -> None:
    """Start the relay and the recorder; restart what dies."""
    from mcp_weir.app import bind, split_upstream
    from mcp_weir.store import connect
    from mcp_weir.supervisor import Supervisor

    _, path = split_upstream(upstream)
    if database_url:
        connect.parse(database_url)
    data_dir.mkdir(parents=True, exist_ok=True)
    flags = ["--upstream", upstream, "--drain-timeout", str(drain_timeout)]
    flags += ["--service", service] if service else []
    flags += ["--keep-session-ids"] if keep_session_ids else []
    supervisor = Supervisor(bind(listen), data_dir, database_url, flags)

    def ready() -> None:
        click.echo(f"mcp-weir: http://{listen}{path} -> {upstream}")
        click.echo(f"  database  {connect.mask(supervisor.database_url)}")
        click.echo(f"  Claude Code  claude mcp add --transport http NAME http://{listen}{path}")
        click.echo(f'  mcp.json     {{"mcpServers": {{"NAME": {{"url": "http://{listen}{path}"}}}}}}')
        sys.stdout.flush()

    supervisor.run(ready, drain_timeout)


@cli.command()
@UPSTREAM
@click.option("--listen", envvar="WEIR_LISTEN", default="127.0.0.1:8052")
@click.option("--listen-fd", type=int, default=None, hidden=True)
@DATA_DIR
@SERVICE
@DRAIN
@RAW_IDS
def relay(
    upstream: str, listen: str, listen_fd: int | None, data_dir: Path, service: str | None, drain_timeout: float,
    keep_session_ids: bool,
) -> None:
    """The relay alone: forwards and spools."""
    import socket

    from mcp_weir.app import RelayConfig, bind, run_relay

    sock = socket.socket(fileno=listen_fd) if listen_fd is not None else bind(listen)
    run_relay(RelayConfig(upstream, data_dir, service, keep_session_ids, drain_timeout), sock)


@cli.command()
@DATABASE
@DATA_DIR
def recorder(database_url: str | None, data_dir: Path) -> None:
    """The recorder alone: spool to Postgres."""
    from mcp_weir.app import run_recorder
    from mcp_weir.store import connect

    if not database_url:
        raise UsageError("the recorder alone needs --database-url or WEIR_DATABASE_URL")
    run_recorder(connect.parse(database_url), data_dir)


def _reading(view: str) -> Any:
    @DATABASE
    @DATA_DIR
    @click.option("--limit", default=50, type=click.IntRange(1))
    @click.option("--since", default=None, help="30s, 15m, 2h, 7d")
    @click.option("--json", "as_json", is_flag=True)
    def command(database_url: str | None, data_dir: Path, limit: int, since: str | None, as_json: bool) -> None:
        from mcp_weir import reports

        url, stop = _database(database_url, data_dir)
        try:
            click.echo(reports.render(url, view, since=since, limit=limit, as_json=as_json))
        finally:
            stop()

    return command


def _database(database_url: str | None, data_dir: Path) -> tuple[str, Any]:
    from mcp_weir.store.embedded import EmbeddedPostgres

    if database_url:
        return database_url, lambda: None
    if not (data_dir / "postgres").exists():
        raise StoreError(f"no --database-url, and no database in {data_dir}; start `mcp-weir up` first")
    server = EmbeddedPostgres(data_dir)
    return server.start(), server.stop


for _name, _help in (
    ("sessions", "Who came."),
    ("requests", "What was asked, and how it ended."),
    ("streams", "Standing streams."),
    ("coverage", "Exchanges seen against stored, by minute."),
):
    cli.command(_name, help=_help)(_reading(_name))


@cli.group()
def db() -> None:
    """The database."""


@db.command("url")
@DATABASE
@DATA_DIR
def db_url(database_url: str | None, data_dir: Path) -> None:
    """Print the database's URL, whole."""
    url, stop = _database(database_url, data_dir)
    click.echo(url)
    stop()


@db.command("migrate")
@DATABASE
@DATA_DIR
def db_migrate(database_url: str | None, data_dir: Path) -> None:
    """Bring the schema up to date."""
    from mcp_weir.store import connect, migrate

    url, stop = _database(database_url, data_dir)
    try:
        with connect.connect(url) as conn:
            click.echo(f"schema version {migrate.migrate(conn)}")
    finally:
        stop()


def main() -> None:
    """The entry point: one sentence for what goes wrong, no traceback."""
    try:
        cli()
    except WeirError as error:
        click.echo(f"mcp-weir: {error}", err=True)
        sys.exit(2 if isinstance(error, UsageError) else 1)
