"""up, relay, recorder, dashboard: the commands that run until a signal."""

import socket
import sys

import click

from mcp_weir.cli.options import database, with_settings
from mcp_weir.config import Settings
from mcp_weir.errors import UsageError

EVERYTHING = ("relay", "recorder", "admin", "database", "up")


@click.command()
@with_settings(*EVERYTHING)
def up(settings: Settings) -> None:
    """Start relay workers and the recorder; restart what dies. Ends on SIGTERM, at once on a second one."""
    from mcp_weir import doctor, log
    from mcp_weir.app import checks, data_dir
    from mcp_weir.app.telemetry import check_otel
    from mcp_weir.supervisor import Supervisor

    log.configure(settings.log_level)
    _, path = checks.check(settings)
    check_otel(settings)
    data_dir.make(settings.data_dir)
    data_dir.hold(settings.data_dir)
    load_again = click.get_current_context().obj

    def again() -> Settings:
        found: Settings = load_again()
        checks.check(found)
        check_otel(found)
        return found

    sockets, admin = checks.bind_workers(settings), checks.bind_admin(settings)
    supervisor = Supervisor(settings, sockets, admin, checks.database(settings), again)

    def ready() -> None:
        click.echo(checks.welcome(settings, path, supervisor.database_url))
        sys.stdout.flush()
        unreachable = doctor.upstream(settings.upstream or "")
        if not unreachable.ok:
            click.echo(f"mcp-weir: warning: {unreachable.says}; until then clients get 502", err=True)
        for warning in doctor.warnings(settings.upstream or "", settings.listen, settings.upstream_host, sys.argv):
            click.echo(f"mcp-weir: warning: {warning}", err=True)

    sys.exit(supervisor.run(ready))


@click.command()
@with_settings("relay")
@click.option("--listen-fd", type=int, default=None, hidden=True)
def relay(settings: Settings, listen_fd: int | None) -> None:
    """The relay alone: forwards and spools."""
    from mcp_weir import log
    from mcp_weir.app import checks
    from mcp_weir.app.relay import run_relay

    log.configure(settings.log_level)
    checks.check(settings)
    sock = socket.socket(fileno=listen_fd) if listen_fd is not None else checks.bind_workers(settings)[0]
    run_relay(settings, sock)


@click.command()
@with_settings("recorder", "admin", "database")
@click.option("--admin-fd", type=int, default=None, hidden=True)
def recorder(settings: Settings, admin_fd: int | None) -> None:
    """The recorder alone: spool to Postgres, and the admin port."""
    from mcp_weir import log
    from mcp_weir.app import checks
    from mcp_weir.app.database import database_url
    from mcp_weir.app.recorder import run_recorder

    log.configure(settings.log_level)
    url = database_url(settings)
    if url is None:
        raise UsageError("the recorder alone needs --database-url, WEIR_DATABASE_URL or libpq's PG* variables")
    sock = socket.socket(fileno=admin_fd) if admin_fd is not None else checks.bind_admin(settings)
    run_recorder(settings, url, sock)


@click.command()
@with_settings("admin", "database")
def dashboard(settings: Settings) -> None:
    """The dashboard alone, over a database that a recorder elsewhere fills."""
    from mcp_weir import log
    from mcp_weir.app import checks
    from mcp_weir.app.dashboard import run_dashboard

    log.configure(settings.log_level)
    with database(settings) as url:
        sock = checks.bind_admin(settings)
        if sock is None:
            raise UsageError("--admin off leaves nothing to serve; give HOST:PORT")
        click.echo(f"mcp-weir: dashboard on http://{settings.admin}/")
        sys.stdout.flush()
        run_dashboard(settings, url, sock)
