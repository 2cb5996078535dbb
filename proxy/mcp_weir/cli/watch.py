"""report and status: whole screens; tail: requests as they end."""

import asyncio
import contextlib
import json
import select
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import click

from mcp_weir.cli.asking import Asked, asking, console, read, say
from mcp_weir.cli.options import database
from mcp_weir.cli.read import one_session
from mcp_weir.config import Settings
from mcp_weir.errors import StoreError, UsageError

_WEEK = timedelta(days=7)


def _thresholds(settings: Settings) -> Any:
    from mcp_weir.store.shapes import Thresholds

    return Thresholds(
        error_rate=settings.alert_error_rate, slow_ms=settings.alert_slow_ms, spike=settings.alert_spike
    )


@click.command()
@asking("service", "client", "tool", uses="thresholds cost")
def report(asked: Asked, **said: Any) -> None:
    """The whole picture on one screen."""
    from mcp_weir.reports import ask, screens
    from mcp_weir.store import reads
    from mcp_weir.store.shapes import Filter

    settings, window = asked.settings, ask.window(asked.since, asked.until)
    prices = reads.load_prices(settings.prices, settings.model)
    where = Filter(**said)

    async def look(conn: Any) -> Any:
        return await reads.overview(conn, window, await reads.around(conn, _thresholds(settings), where), where)

    view = read(asked, look)
    cost = reads.cost(prices, view.totals.tokens_in, view.totals.tokens_out)
    if asked.as_json:
        from mcp_weir.store.shapes import to_json

        click.echo(json.dumps({**to_json(view), "cost": to_json(cost)}))
        return
    console().print(screens.report(view, asked.zone, cost))


@click.command()
@asking("service", since="1h", uses="thresholds")
def status(asked: Asked, **said: Any) -> None:
    """How recording fares, and what is wrong. Exit 1 if something is: an alert, or no database."""
    from mcp_weir.reports import ask, screens
    from mcp_weir.store import connect, reads
    from mcp_weir.store.masking import mask
    from mcp_weir.store.shapes import Filter, to_json

    window, where = ask.window(asked.since, asked.until), Filter(**said)

    async def look(conn: Any) -> Any:
        return await reads.health(conn, window, where), await reads.alerts(conn, _thresholds(asked.settings), where)

    try:
        with database(asked.settings) as url:
            health, alerts = connect.read(url, look)
    except StoreError:  # what waits on disk can be told all the same: it is what somebody wants to know then
        spool = _spool(asked.settings)
        if spool["segments"] and not asked.as_json:
            click.echo(f"{screens.spooled(spool)}: traffic is recorded there until the database answers")
        raise
    spool, otel, where_is = _spool(asked.settings), _otel(asked.settings), mask(url)
    if asked.as_json:
        click.echo(json.dumps({"ok": not alerts, "database": where_is, "health": to_json(health),
                               "alerts": to_json(alerts), "spool": spool, "otel": otel}))
    else:
        say(asked, True, lambda: screens.status(health, alerts, spool, where_is, asked.zone, otel))
    sys.exit(1 if alerts else 0)


def _spool(settings: Settings) -> dict[str, Any]:
    from mcp_weir.spool import reader

    root = settings.data_dir / "spool"
    segments = reader.scan(root) if root.is_dir() else []
    return {"path": str(root), "segments": len(segments), "bytes": sum(s.size() for s in segments)}


def _otel(settings: Settings) -> dict[str, Any] | None:
    """What the recorder of this data directory said last; None where it sends nothing."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((settings.data_dir / "otel.json").read_text()))
    return None


@click.command()
@asking("service", "tool", "client", "method", "outcome", "errors", "session", "slow_ms", "principal", "layer", "fault",
        "text", since="7d", limit=10)
@click.option("--every", default=1.0, show_default=True, type=click.FloatRange(0.1), help="Seconds between looks.")
def tail(asked: Asked, session: str | None, every: float, **said: Any) -> None:
    """Requests as they end, first the newest --limit of --since; --json prints lines. Follows commits, not clocks."""
    if asked.until is not None:
        raise UsageError("tail follows what comes, so it has no --until; `requests` takes one")
    with database(asked.settings) as url, contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_tail(asked, url, session, every, said))


async def _tail(asked: Asked, url: str, session: str | None, every: float, said: dict[str, Any]) -> None:
    import psycopg

    from mcp_weir.reports import ask
    from mcp_weir.store import connect, reads
    from mcp_weir.store.shapes import HOUR, Filter, Window

    printer, mark, lost = _printer(asked), None, 0
    began = ask.exactly(asked.since, None).since
    while True:
        try:
            async with await connect.reading(url) as conn:
                key = None if session is None else await one_session(conn, session)
                while True:
                    window = Window(began, datetime.now(UTC) + _WEEK, HOUR)
                    found = await reads.follow(conn, mark, window, Filter(session=key, **said), limit=asked.limit)
                    mark, lost = found.mark, 0
                    printer(found.rows)
                    if _nobody_reads():
                        return
                    await asyncio.sleep(every)
        except (psycopg.OperationalError, StoreError) as error:
            lost += 1
            if mark is None or lost > 60:
                raise connect.refused(error) if isinstance(error, psycopg.Error) else error from None
            click.echo("mcp-weir: the database is away; waiting for it", err=True)
            await asyncio.sleep(min(lost, 5))
        except psycopg.Error as error:
            raise connect.refused(error) from None


def _nobody_reads() -> bool:
    """Whether the pipe was closed: after `tail | head -1` a quiet server would keep us for hours."""
    with contextlib.suppress(OSError, ValueError):  # no descriptor: somebody took stdout over
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(state & (select.POLLERR | select.POLLHUP) for _, state in poll.poll(0))
    return False


def _printer(asked: Asked) -> Any:
    from mcp_weir.reports import tables
    from mcp_weir.store.shapes import to_json

    columns, out, began = tables.request_columns(asked.zone), console(), False

    def show(rows: Any) -> None:
        nonlocal began
        if asked.as_json:
            for row in rows:
                click.echo(json.dumps(to_json(row)))
        elif rows:
            out.print(tables.lines(columns, rows, header=not began))
            began = True
        sys.stdout.flush()

    return show
