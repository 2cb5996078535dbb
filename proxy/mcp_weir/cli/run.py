"""up, relay, recorder, dashboard: the commands that run until a signal."""

import sys

import click

from mcp_weir.cli.options import database, with_settings
from mcp_weir.config import FIELDS, Settings
from mcp_weir.errors import UsageError

EVERYTHING = ("relay", "recorder", "admin", "database", "up")
POLICIES = ("capture", "capture_rule", "redact", "principal", "session_handle")


@click.command()
@with_settings(*EVERYTHING)
def up(settings: Settings) -> None:
    """Start relay workers and the recorder; restart what dies. Ends on SIGTERM, at once on a second one."""
    from mcp_weir import log
    from mcp_weir.app import checks, data_dir
    from mcp_weir.supervisor import Supervisor

    log.configure(settings.log_level)
    path = _checked(settings)
    data_dir.make(settings.data_dir)
    data_dir.hold(settings.data_dir)
    load_again = click.get_current_context().obj

    def again() -> Settings:
        found: Settings = load_again()
        _checked(found)
        return found

    sockets, admin = checks.bind_workers(settings), checks.bind_admin(settings)
    supervisor = Supervisor(settings, sockets, admin, checks.database(settings), again)

    def ready() -> None:
        from mcp_weir import doctor

        click.echo(checks.welcome(settings, path, supervisor.database_url))
        sys.stdout.flush()
        unreachable = doctor.upstream(settings.upstream or "")
        if not unreachable.ok:
            click.echo(f"mcp-weir: warning: {unreachable.says}; until then clients get 502", err=True)
        for warning in doctor.warnings(settings.upstream or "", settings.listen, settings.upstream_host, sys.argv):
            click.echo(f"mcp-weir: warning: {warning}", err=True)

    sys.exit(supervisor.run(ready))


def _checked(settings: Settings) -> str:
    """Everything that can be known to be wrong before a child is started; returns the MCP path. Raises UsageError."""
    from mcp_weir.app import checks
    from mcp_weir.app.telemetry import check_otel

    _, path = checks.check(settings)
    check_otel(settings)
    if any(getattr(settings, name) != FIELDS[name].default for name in POLICIES):
        from mcp_weir.app.reading import check_policies  # what says nothing of policies need not wait for their reader

        check_policies(settings, path)
    return path


@click.command()
@with_settings("relay")
def relay(settings: Settings) -> None:
    """The relay alone: forwards and spools."""
    from mcp_weir import log
    from mcp_weir.app import aiohttp_first  # noqa: F401
    from mcp_weir.app.relay import part

    log.configure(settings.log_level)
    part(settings, None)


@click.command()
@with_settings("recorder", "admin", "database")
def recorder(settings: Settings) -> None:
    """The recorder alone: spool to Postgres, and the admin port."""
    from mcp_weir import log
    from mcp_weir.app import aiohttp_first  # noqa: F401
    from mcp_weir.app.recorder import part

    log.configure(settings.log_level)
    part(settings, None)


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
