"""Ten million requests in a Postgres of its own, and what each page's reads cost over them.

    make history [REQUESTS=10000000] [SESSIONS=100000] [HISTORY=.history]
"""

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import history_again
import history_pages
import psycopg

from mcp_weir.store import migrate
from mcp_weir.store.embedded import EmbeddedPostgres

QUERIES = history_again.queries("history_fill")


@click.group()
def cli() -> None:
    """Proof at size."""


@cli.command()
@click.option("--data-dir", type=click.Path(path_type=Path), required=True)
@click.option("--requests", default=10_000_000)
@click.option("--sessions", default=100_000)
@click.option("--tools", default=120)
@click.option("--days", default=30)
def fill(data_dir: Path, requests: int, sessions: int, tools: int, days: int) -> None:
    """Make the history, unless it is there; prints the database's URL."""
    data_dir.mkdir(parents=True, exist_ok=True)
    done = data_dir / f"filled-{requests}-{sessions}"
    if done.exists():
        return
    url = EmbeddedPostgres(data_dir).start()
    with psycopg.connect(url, autocommit=True) as conn:
        for setting in ("max_wal_size = '8GB'", "synchronous_commit = off", "maintenance_work_mem = '256MB'"):
            conn.execute(f"ALTER SYSTEM SET {setting}".encode())
        conn.execute("SELECT pg_reload_conf()")
        migrate.migrate(conn)
        conn.execute("SELECT setseed(0.42)")
        conn.execute("SET work_mem = '256MB'")
        fill_rows(conn, {"sessions": sessions, "mean": requests / sessions, "tools": tools, "days": days})
        click.echo(url)
    done.touch()


@cli.command()
@click.option("--data-dir", type=click.Path(path_type=Path), required=True)
@click.option("--runs", default=20, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="A Markdown table.")
def measure(data_dir: Path, runs: int, out: Path | None) -> None:
    """Bring it up to now; time each page over it: the first look, then p50 and p95 of the runs; and what plans read."""
    server = EmbeddedPostgres(data_dir)
    url = server.start()
    with psycopg.connect(url, autocommit=True) as conn:
        migrate.migrate(conn)
        history_again.refresh(conn, click.echo)
    found = history_pages.measure(url, runs, click.echo)
    for name, reads in history_pages.touched(url):
        for window, said in zip(history_pages.WINDOWS, reads, strict=True):
            click.echo(f"{name} over {window} reads: {said}")
    if out is not None:
        head = "| page | window | first | p50 | p95 | least CPU | p95 as JSON |\n|---|---|--:|--:|--:|--:|--:|\n"
        out.write_text(head + "".join(f"| {page} | {window} | {' | '.join(f'{figure:.0f}' for figure in figures)} |\n"
                                      for page, window, *figures in found))
    server.stop()


def fill_rows(conn: psycopg.Connection, size: dict[str, float]) -> None:
    """Sessions, requests day by day, then everything that is made from them."""
    for name in ("plan", "tools"):
        run(conn, name, size)
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    every = [today - timedelta(days=back) for back in range(int(size["days"]) + 1, -2, -1)]
    for day in every:
        conn.execute("SELECT weir.ensure_partition(%s)", (day.date(),))
        conn.execute("SELECT weir.ensure_derived_partition(%s)", (day.date(),))
    for day in every:
        run(conn, "day", {**size, "day": day})
    for name in ("derived", "sessions", "catalog", "streams"):
        run(conn, name, size)
    for day in every:
        for name in ("minute", "hour", "day_rollup"):
            run(conn, name, {"day": day})
    for level in ("minute", "hour", "day"):
        run(conn, "total", {}, level)
    for name in ("error", "coverage", "dropped"):
        run(conn, name, {})
    run(conn, "error_days", {})
    for day in every:
        run(conn, "facets", {"day": day})
    conn.execute("VACUUM ANALYZE")


def run(conn: psycopg.Connection, name: str, params: dict[str, object] | dict[str, float], level: str = "") -> None:
    """One step, with its time."""
    began = time.monotonic()
    text = QUERIES[name].replace("{level}", level)
    done = conn.execute(text.encode(), params)
    click.echo(f"{name:<12} {params.get('day', '')!s:<26} {done.rowcount:>10} rows {time.monotonic() - began:7.1f} s")


if __name__ == "__main__":
    cli()
