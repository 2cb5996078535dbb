"""export: rows to a file or a pipe."""

import contextlib
import dataclasses
import sys
from pathlib import Path
from typing import IO, Any

import click

from mcp_weir.cli.asking import Asked, asking, read
from mcp_weir.errors import UsageError


@click.command()
@asking("service", "tool", "client", "method", "outcome", "errors", since="24h", limit=1_000_000)
@click.option("--format", "kind", default="jsonl", show_default=True, type=click.Choice(["jsonl", "csv", "parquet"]))
@click.option("--output", "-o", default="-", help="A file; - is standard output.")
@click.option("--append", is_flag=True, help="Go on behind the last row of a JSONL or CSV file, whatever --since says.")
@click.option("--force", is_flag=True, help="Overwrite the file.")
def export(asked: Asked, kind: str, output: str, append: bool, force: bool, **said: Any) -> None:
    """Requests as JSONL, CSV or Parquet, in the order they started; says where to resume."""
    from mcp_weir.reports import export as formats
    from mcp_weir.reports import resume
    from mcp_weir.store import reads
    from mcp_weir.store.shapes import Filter

    where = Filter(**said)
    path = None if output == "-" else Path(output)
    _check(path, kind, append, force)
    mark = None
    if append and path is not None and path.exists():
        mark = resume.mend(path, kind, [name for name, _ in reads.EXPORTED])
    window = _window(asked, None if mark is None else mark.started_at)
    appending = append and path is not None and path.exists() and path.stat().st_size > 0
    done = _Progress(asked.limit, "the same command and --append" if path is not None and kind != "parquet" else None)

    async def copy(conn: Any) -> int:
        expected = (await reads.totals(conn, type(window).of(window.since, window.until), where)).requests
        with done.showing(expected), _open(path, append) as out:
            with contextlib.closing(formats.sink(kind, out, reads.EXPORTED, appending=appending)) as sink:
                async with contextlib.aclosing(reads.export(conn, window, where)) as batches:
                    async for found in batches:
                        rows = (found if mark is None else mark.behind(found))[: asked.limit - done.rows]
                        sink.write(rows)
                        done.add(rows)
                        if done.rows >= asked.limit:
                            break
        return await reads.running(conn, window)

    try:
        running = read(asked, copy)
    except BaseException:
        done.say_resume()
        raise
    done.say_end(window.until, running)


def _window(asked: Asked, last: Any) -> Any:
    """What is asked for, from a file's last row on: of --since only a later one, given on purpose, stays."""
    from mcp_weir.reports import ask

    if last is None:
        return ask.exactly(asked.since, asked.until)
    given = click.get_current_context().get_parameter_source("since") is click.core.ParameterSource.COMMANDLINE
    window = ask.exactly(asked.since if given else _iso(last), asked.until)
    return dataclasses.replace(window, since=max(last, window.since))


def _check(path: Path | None, kind: str, append: bool, force: bool) -> None:
    if append and (path is None or kind == "parquet"):
        raise UsageError("--append goes with a JSONL or CSV file; a Parquet file cannot go on: write another beside it")
    if path is not None and path.exists() and not (append or force):
        raise UsageError(f"{path} exists; --append goes on at its end, --force overwrites it")
    if path is None and sys.stdout.isatty() and kind == "parquet":
        raise UsageError("Parquet is no text; give --output FILE")


@contextlib.contextmanager
def _open(path: Path | None, append: bool) -> Any:
    if path is None:
        yield sys.stdout.buffer
        return
    try:
        out: IO[bytes] = path.open("ab" if append else "wb")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from None
    with out:
        yield out


class _Progress:
    """Rows so far, on a terminal as a bar; and where to go on."""

    def __init__(self, limit: int, again: str | None) -> None:
        self.rows = 0
        self._last: Any = None
        self._limit, self._again = limit, again
        self._advance: Any = None

    @contextlib.contextmanager
    def showing(self, expected: int) -> Any:
        if not sys.stderr.isatty():
            yield
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

        bar = Progress("export", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), console=Console(stderr=True))
        with bar:
            task = bar.add_task("export", total=min(expected, self._limit) or None)
            self._advance = lambda count: bar.advance(task, count)
            yield

    def add(self, rows: Any) -> None:
        self.rows += len(rows)
        if rows:
            self._last = rows[-1]["started_at"]
        if self._advance is not None:
            self._advance(len(rows))

    def say_resume(self) -> None:
        """Cut short. Where there is no file to look into, the last moment's rows may come again."""
        if self._last is not None:
            again = self._again or f"--since {_iso(self._last)}"
            click.echo(f"mcp-weir: {self.rows} rows; go on with {again}", err=True)

    def say_end(self, until: Any, running: int) -> None:
        if self.rows >= self._limit:
            self.say_resume()
            return
        note = f"; {running} requests of this time still run and are not in it" if running else ""
        click.echo(f"mcp-weir: {self.rows} rows{note}; resume with --since {_iso(until)}", err=True)


def _iso(at: Any) -> str:
    from datetime import UTC

    return str(at.astimezone(UTC).isoformat()).replace("+00:00", "Z")
