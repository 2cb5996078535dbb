"""demo: everything at once, to look at; with --once a check whose exit code says whether the record is the truth."""

import json
import sys
from pathlib import Path

import click


@click.command()
@click.option("--once", is_flag=True, help="End after the verdict; exit 0 only if the record equals what was sent.")
@click.option("--json", "as_json", is_flag=True, help="The verdict as one JSON object on stdout, and nothing else.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="Keep its data here.")
@click.option("--database-url", envvar="WEIR_DATABASE_URL", help="Record into this Postgres. [WEIR_DATABASE_URL]")
@click.option("--seed", default=0, help="Of the clients' choices.")
@click.option("--pace", default=1.0, type=click.FloatRange(0, 10), help="Factor of the clients' pauses.")
def demo(
    once: bool, as_json: bool, data_dir: Path | None, database_url: str | None, seed: int, pace: float
) -> None:
    """Example server, the weir, and real MCP clients of both eras: 36 conversations, then gentle traffic until Ctrl-C.

    Without --database-url an embedded PostgreSQL is used; without --data-dir everything is gone afterwards.
    """
    from mcp_weir.demo.show import Show
    from mcp_weir.store import connect

    if database_url is not None:
        connect.parse(database_url)
    show = Show(silent=as_json)
    show.starting()
    from mcp_weir.demo.run import Options, run  # MCP clients take a second to load: something is said before

    report = run(Options(once, data_dir, database_url, seed, pace), show)
    if report is None:
        sys.exit(130)
    if as_json:
        click.echo(json.dumps(report))
    sys.exit(0 if report["missing"] == report["duplicates"] == report["wrong"] == 0 else 1)
